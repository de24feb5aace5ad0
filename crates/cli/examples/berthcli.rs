//! dev only
fn main() {
    let argv: Vec<String> = std::env::args().skip(1).collect();
    if let cli::Outcome::Exit(c) = cli::main(&argv) {
        std::process::exit(c.into())
    }
}
