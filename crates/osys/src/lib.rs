//! The only unsafe code: thin, safe wrappers around single system calls
#![warn(missing_docs)]
