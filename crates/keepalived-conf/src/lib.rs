//! The keepalived.conf language: lexer, keyword tables, model, resolved into vrrp-core settings
#![warn(missing_docs)]
