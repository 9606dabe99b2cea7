//! Builds the agent image with a nested cargo and hands its path to `lib.rs`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.parent().expect("embed lies in the workspace");
    let manifests = ["agent/Cargo.toml", "protocol/Cargo.toml", "trace/Cargo.toml"];
    for room in ["agent/src", "agent/image", "protocol/src", "trace/src"].iter().chain(&manifests) {
        println!("cargo::rerun-if-changed={}", root.join(room).display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let status = Command::new(env::var_os("CARGO").expect("cargo sets it"))
        .args(["build", "--release", "--locked", "--target", "x86_64-unknown-none", "--manifest-path"])
        .arg(root.join("agent/image/Cargo.toml"))
        .arg("--target-dir")
        .arg(out.join("image"))
        .env(
            "RUSTFLAGS",
            // Fixed address far above 4 GiB: position-independent code, linked without relocations, because nothing could apply them.
            // Less inlining than usual: a fifteenth of the size, and no measurable time.
            // Without vector registers the compiler copies more than 64 bytes by a string instruction, which takes ten nanoseconds to start.
            "-Crelocation-model=pic -Ccode-model=small -Clink-arg=--image-base=0x600000000000 -Clink-arg=-no-pie -Cforce-frame-pointers=yes -Cllvm-args=-inline-threshold=50 -Cllvm-args=-max-store-memcpy=16",
        )
        // Clippy leaks its wrapper into nested builds, and the encoded flags outrank RUSTFLAGS.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    match status {
        Ok(s) if s.success() => {}
        Ok(s) => panic!("building the agent image failed ({s}); is the target installed? rustup target add x86_64-unknown-none"),
        Err(e) => panic!("cannot run cargo for the agent image: {e}"),
    }
    let image = out.join("image/x86_64-unknown-none/release/rdb-agent-image");
    println!("cargo::rustc-env=RDB_AGENT_IMAGE={}", image.display());
    let bytes = std::fs::read(&image).expect("the image was just built");
    println!("cargo::rustc-env=RDB_AGENT_HASH={:016x}", hash(&bytes));
}

/// FNV-1a of 64 bits: tells one build's image from another's.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
