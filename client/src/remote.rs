//! Packed traces in an object store: brought once into the user's cache, by what the store says they are.

use crate::Fault;
use std::path::{Path, PathBuf};

/// Whether an argument is the URL of one (`s3://...`, `file:///...`).
pub(crate) fn is_url(named: &Path) -> bool {
    named.to_str().is_some_and(|n| {
        n.split_once("://")
            .is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains('/'))
    })
}

/// The file with the packed trace at this URL.
///
/// # Errors
/// When it cannot be read, or this rdbctl was built without `object-store`.
#[cfg(not(feature = "object-store"))]
pub(crate) fn fetched(url: &Path) -> Result<PathBuf, Fault> {
    Err(Fault::new(format!(
        "{}: this rdbctl was built without object stores: cargo build --release --features object-store",
        url.display()
    )))
}

#[cfg(feature = "object-store")]
pub(crate) use store::fetched;

#[cfg(feature = "object-store")]
mod store {
    use super::{Fault, Path, PathBuf};
    use crate::pack::cache_directory;
    use object_store::{ObjectStore, ObjectStoreExt, ObjectStoreScheme};
    use std::fs::{self, DirBuilder, File};
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

    /// The file with the packed trace at this URL.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn fetched(named: &Path) -> Result<PathBuf, Fault> {
        let text = named.to_string_lossy();
        let failed = |what: &dyn std::fmt::Display| Fault::new(format!("{text}: {}", one_line(&what.to_string())));
        let url = text.parse().map_err(|e: url::ParseError| failed(&e))?;
        let (scheme, _) = ObjectStoreScheme::parse(&url).map_err(|e| failed(&e))?;
        if !matches!(scheme, ObjectStoreScheme::AmazonS3 | ObjectStoreScheme::Local) {
            return Err(failed(&"a store of another kind; s3:// and file:// are known"));
        }
        // Who has one installed already has it for all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| failed(&e))?;
        runtime.block_on(async {
            // Keys, region and endpoint, as all tools have them: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...
            let settings = std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
            let (store, path) = object_store::parse_url_opts(&url, settings).map_err(|e| failed(&e))?;
            let meta = store.head(&path).await.map_err(|e| failed(&e))?;
            let version = format!("{text}\n{}\n{:?}\n{}", meta.size, meta.e_tag, meta.last_modified);
            let cache = cache_directory();
            let at = cache.join(format!("{}.rdb", blake3::hash(version.as_bytes()).to_hex()));
            if at.exists() {
                return Ok(at);
            }
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&cache)
                .map_err(|e| failed(&e))?;
            let step = at.with_extension(std::process::id().to_string());
            let done = download(store.as_ref(), &path, &step).await;
            match done.and_then(|()| Ok(fs::rename(&step, &at)?)) {
                Ok(()) => Ok(at),
                Err(e) => {
                    let _ = fs::remove_file(&step);
                    Err(failed(&e))
                }
            }
        })
    }

    async fn download(store: &dyn ObjectStore, path: &object_store::path::Path, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let mut options = File::options();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
        let mut parts = store.get(path).await?.into_stream();
        while let Some(part) = futures_util::StreamExt::next(&mut parts).await {
            out.write_all(&part?)?;
        }
        Ok(())
    }

    /// Errors of stores have answers of servers in them.
    fn one_line(text: &str) -> String {
        let all: Vec<&str> = text.split_whitespace().collect();
        all.join(" ").chars().take(300).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for url in ["s3://bucket/a/t.rdb", "file:///tmp/t.rdb"] {
            assert!(is_url(Path::new(url)), "{url}");
        }
        for path in ["latest", "/tmp/t.rdb", "a/b://c", "://x"] {
            assert!(!is_url(Path::new(path)), "{path}");
        }
    }
}
