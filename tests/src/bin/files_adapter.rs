//! The file adapter as a process of its own, so that a test can kill it: `files_adapter CONFIG`.

use pannier_adapters::files::{FilesConfig, run};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("files_adapter CONFIG"))?;
    let config = FilesConfig::load(path.as_ref())?;
    Ok(run(config, CancellationToken::new()).await?)
}
