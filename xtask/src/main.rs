//! The project's tasks: demo, test and more

fn main() {}
