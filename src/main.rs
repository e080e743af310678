//! The `bureau` program.

fn main() -> std::process::ExitCode {
    bureau::cli::main()
}
