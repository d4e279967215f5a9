//! The distributor as flat files of two systems that are older than most of those who will read this:
//! fixed-width and delimited, in Latin-1, with implied decimals, trailing signs, decimal commas and three
//! kinds of dates. `erp.toml` and `wms.toml` map them for the file adapter; there is no other way in.

mod erp;
mod record;
mod wms;

use std::path::{Path, PathBuf};

use anyhow::Context;
use pannier_protocol::LocalDate;

use self::record::{Calendar, Lines};
use super::distributor::Distributor;

/// The files of one system; each appears whole, under its name.
struct Output {
    folder: PathBuf,
}

impl Output {
    fn new(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Self { folder })
    }

    fn file(&mut self, name: &str, lines: Lines) -> anyhow::Result<()> {
        let bytes = lines.encode().with_context(|| format!("encode {name}"))?;
        let (hidden, path) = (self.folder.join(format!(".{name}.part")), self.folder.join(name));
        std::fs::write(&hidden, bytes).with_context(|| format!("write {}", hidden.display()))?;
        std::fs::rename(&hidden, &path).with_context(|| format!("rename to {}", path.display()))
    }
}

fn blank(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// Where the mappings as they are in the repository say that the broker is.
pub const NATS: &str = "nats://127.0.0.1:4222";

/// Where the mappings of a written sample are; each names its folder of files beside it.
#[derive(Debug, Clone)]
pub struct Mappings {
    pub erp: PathBuf,
    pub wms: PathBuf,
}

/// Writes `erp/` and `wms/` into `folder`.
pub fn write(distributor: &Distributor, as_of: LocalDate, folder: &Path) -> anyhow::Result<()> {
    let calendar = Calendar { as_of };
    erp::write(&mut Output::new(folder.join("erp"))?, distributor, calendar)
        .context("write the ERP's files")?;
    wms::write(&mut Output::new(folder.join("wms"))?, distributor, calendar).context("write the WMS's files")
}

/// Writes the mappings of both beside them; the adapters connect to `nats`.
pub fn write_mappings(folder: &Path, nats: &str) -> anyhow::Result<Mappings> {
    let mappings = Mappings { erp: folder.join("erp.toml"), wms: folder.join("wms.toml") };
    for (path, text) in
        [(&mappings.erp, include_str!("../erp.toml")), (&mappings.wms, include_str!("../wms.toml"))]
    {
        let text = text.replace(NATS, nats);
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(mappings)
}
