//! Links the two programs at a fixed address: a recording starts with starting `rdbctl`, and applying thousands of relocations
//! would be a good part of that. Both handle nobody's secrets but the user's own.

fn main() {
    println!("cargo::rustc-link-arg-bins=-no-pie");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,lazy");
    println!("cargo::rerun-if-changed=build.rs");
}
