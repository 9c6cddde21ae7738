// Nothing of Rust: the crates are wanted for the C sources they carry.
