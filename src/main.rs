//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    tencent_live_exporter::cli::main(std::env::args_os())
}
