//! The client program; everything is in `rdb_client`.
fn main() -> std::process::ExitCode {
    rdb_client::main()
}
