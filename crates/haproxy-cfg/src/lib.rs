//! The haproxy.cfg language: lexer, keyword tables, model, and the haproxy command line
#![warn(missing_docs)]
