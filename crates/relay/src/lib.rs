//! The data path: accept, pick a server, connect, relay both ways, count
#![warn(missing_docs)]
