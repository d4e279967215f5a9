//! The folder that `pannier up` keeps everything in, and what is remembered there between two runs.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pannier_node::config::PriceHoldKey;
use pannier_protocol::LocalDate;
use serde::{Deserialize, Serialize};

/// A folder of one `up` at a time.
pub(super) struct Home {
    folder: PathBuf,
    /// Fetched servers are kept here, whatever becomes of the folder.
    pub(super) cache: PathBuf,
    /// Held as long as this lives.
    lock: File,
}

impl Drop for Home {
    /// Said, not left to the closing of the file: a program that another thread is starting has the file open as well until
    /// it has begun, and would keep the lock so long.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, folder = %self.folder.display(), "the folder could not be unlocked");
        }
    }
}

/// Which sample the streams in a folder hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) items: usize,
    pub(super) seed: u64,
    pub(super) as_of: LocalDate,
}

impl Home {
    /// `named`, else `name` under `target/` of the workspace around the working directory, else in the
    /// working directory itself. What was in it is removed where `fresh`.
    pub(super) fn open(named: Option<&Path>, name: &str, fresh: bool) -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("find the working directory")?;
        let target = here.ancestors().find(|folder| is_workspace(folder)).map(|root| root.join("target"));
        let folder = match (named, &target) {
            (Some(named), _) => named.to_owned(),
            (None, Some(target)) => target.join(name),
            (None, None) => here.join(name),
        };
        let cache = target.unwrap_or_else(|| folder.clone()).join("nats-server");
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let lock_path = folder.join("up.lock");
        let lock = File::create(&lock_path).with_context(|| format!("make {}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another `pannier up` runs in {}; stop it, or name another folder with --dir",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", lock_path.display()));
            }
        }
        let home = Self { folder, cache, lock };
        if fresh {
            home.clear()?;
        }
        Ok(home)
    }

    /// Only what `up` made itself: the folder may have been named by hand.
    fn clear(&self) -> anyhow::Result<()> {
        for folder in [self.nats(), self.sample()] {
            if folder.exists() {
                std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
            }
        }
        let loaded = self.loaded_file();
        if loaded.exists() {
            std::fs::remove_file(&loaded).with_context(|| format!("remove {}", loaded.display()))?;
        }
        Ok(())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Store, configuration and log of the nats-server.
    pub(super) fn nats(&self) -> PathBuf {
        self.folder.join("nats")
    }

    /// Files, mappings and states of the adapters.
    pub(super) fn sample(&self) -> PathBuf {
        self.folder.join("sample")
    }

    /// Drawn by the first run; what it promised is still honoured by the next one.
    pub(super) fn price_hold_key(&self) -> anyhow::Result<PriceHoldKey> {
        let file = self.folder.join("price-hold.key");
        if !file.exists() {
            let secret = pannier_node::random_secret().context("draw a secret")?;
            let mut options = File::options();
            options.write(true).create_new(true).mode(0o600);
            let mut made = options.open(&file).with_context(|| format!("make {}", file.display()))?;
            made.write_all(secret.as_bytes()).with_context(|| format!("write {}", file.display()))?;
        }
        Ok(PriceHoldKey { id: "up".to_owned(), file: Some(file), env: None })
    }

    fn loaded_file(&self) -> PathBuf {
        self.folder.join("loaded.json")
    }

    pub(super) fn loaded(&self) -> anyhow::Result<Option<Loaded>> {
        let path = self.loaded_file();
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).map(Some).with_context(|| format!("{} (try --fresh)", path.display()))
    }

    pub(super) fn set_loaded(&self, loaded: &Loaded) -> anyhow::Result<()> {
        let path = self.loaded_file();
        let text = serde_json::to_vec(loaded)?;
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

fn is_workspace(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_of_one_up_and_remembers() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = Loaded { items: 3, seed: 1, as_of: LocalDate::parse("2026-11-23").unwrap() };
        let home = Home::open(Some(folder.path()), "x", false).unwrap();
        assert_eq!(home.loaded().unwrap(), None);
        home.set_loaded(&loaded).unwrap();
        let error = Home::open(Some(folder.path()), "x", false).err().unwrap();
        assert!(error.to_string().starts_with("another `pannier up` runs in "), "{error}");
        drop(home);
        std::fs::write(folder.path().join("mine.txt"), "kept").unwrap();
        assert_eq!(Home::open(Some(folder.path()), "x", false).unwrap().loaded().unwrap(), Some(loaded));
        assert_eq!(Home::open(Some(folder.path()), "x", true).unwrap().loaded().unwrap(), None);
        assert!(folder.path().join("mine.txt").exists());
    }
}
