//! The program `tilewright`. Everything it can do is in `cli`; everything it knows is in the library.

mod cli;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
