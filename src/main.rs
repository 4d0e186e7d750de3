//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    overnight::cli::run(std::env::args_os())
}
