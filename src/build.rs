//! Build script: finds the strategies.

fn main() {}
