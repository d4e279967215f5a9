//! What happened in a run, line by line. Two runs of one seed write the same bytes, or something that is not the
//! seed had a say: a clock, an address, the order of a hash map.

use sha2::{Digest, Sha256};

#[derive(Debug, Default)]
pub struct Trace {
    lines: Vec<String>,
    hash: Sha256,
}

impl Trace {
    pub(crate) fn note(&mut self, line: String) {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.lines.push(line);
    }

    /// Lower-case hex of all lines.
    pub(crate) fn hash(&self) -> String {
        hex(self.hash.clone())
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// Lower-case hex of what was hashed.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first line in which two runs differ, as a sentence.
pub(crate) fn first_difference(a: &Trace, b: &Trace) -> Option<String> {
    let lines = a.lines.len().max(b.lines.len());
    let line = |trace: &Trace, at: usize| trace.lines.get(at).cloned().unwrap_or_else(|| "(the end)".into());
    let at = (0..lines).find(|at| a.lines.get(*at) != b.lines.get(*at))?;
    Some(format!("line {} differs:\n  once:  {}\n  again: {}", at + 1, line(a, at), line(b, at)))
}
