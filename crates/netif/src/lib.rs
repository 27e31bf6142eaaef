//! Addresses and links of the kernel over rtnetlink, behind one trait, with a fake
#![warn(missing_docs)]
