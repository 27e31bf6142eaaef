//! Balance algorithms, server state and queues: pure logic
#![warn(missing_docs)]
