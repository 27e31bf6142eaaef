//! Real daemons in network namespaces, beside the originals
#![warn(missing_docs)]
