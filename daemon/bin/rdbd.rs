//! The daemon program; everything is in `rdb_daemon`.
fn main() -> std::process::ExitCode {
    rdb_daemon::main()
}
