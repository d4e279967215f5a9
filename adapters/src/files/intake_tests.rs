//! When a file is taken, by each of the ways in which it can be complete, and what is not taken at all.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::config::FilesConfig;
use super::intake::{Intake, Look};
use crate::runner::Desk;

struct Bench {
    folder: TempDir,
    intake: Intake,
}

impl Bench {
    /// One kind of file, `stock*.csv`, with `keys` before its columns; `head` before all.
    fn new(head: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "source = \"wms-1\"\nfolder = \"in\"\nstate = \"s\"\n{head}\n[[file]]\nname = \"stock\"\n\
             pattern = \"stock*.csv\"\ntable = \"stock\"\nmode = \"full\"\n{keys}\n\
             columns = {{ item = 1, warehouse = 2, on_hand = 3, uom = {{ value = \"EA\" }} }}\n"
        );
        let path = folder.path().join("files.toml");
        fs::write(&path, text).unwrap();
        let config = FilesConfig::load(&path).unwrap();
        let desk = Desk::open(config.source.clone(), &config.state).unwrap();
        let intake = Intake::open(&config, desk).unwrap();
        Self { folder, intake }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("in").join(name), text).unwrap();
    }

    fn look(&mut self) -> Look {
        self.intake.look().unwrap()
    }

    /// The files that a look takes, and how many may be complete later.
    #[track_caller]
    fn check(&mut self, taken: &[&str], settling: usize) {
        let look = self.look();
        let names: Vec<_> = look.taken.iter().map(|file| file.name.as_str()).collect();
        assert_eq!((names.as_slice(), look.settling), (taken, settling));
        assert!(look.taken.iter().all(|file| file.parked.is_none()), "{look:?}");
    }

    fn parked(&mut self) -> String {
        let mut look = self.look();
        look.taken.pop().unwrap().parked.unwrap()
    }
}

#[test]
fn a_renamed_file_is_complete_at_once() {
    let mut bench = Bench::new("", "complete = { by = \"rename\" }");
    bench.write(".stock.csv", "A,DAL,1\n");
    bench.check(&[], 0);
    let folder = bench.folder.path().join("in");
    fs::rename(folder.join(".stock.csv"), folder.join("stock.csv")).unwrap();
    bench.check(&["stock.csv"], 0);
    bench.check(&[], 0);
}

#[test]
fn a_file_waits_for_its_trigger() {
    let mut bench = Bench::new("", "complete = { by = \"trigger\", file = \"{stem}.ok\" }");
    bench.write("stock1.csv", "A,DAL,1\n");
    bench.write("stock2.csv", "A,DAL,1\n");
    bench.check(&[], 0);
    bench.write("stock2.ok", "");
    bench.check(&["stock2.csv"], 0);
    assert!(!bench.folder.path().join("in/stock2.ok").exists(), "the next file needs a trigger of its own");
    bench.check(&[], 0);
}

#[test]
fn a_file_waits_for_its_trailer_and_its_count() {
    let keys = "complete = { by = \"trailer\" }\ntrailer = { starts_with = \"TRL\", count = 2 }";
    let mut bench = Bench::new("", keys);
    for text in ["", "A,DAL,1\n", "A,DAL,1\nB,DAL,2\nTRL,", "A,DAL,1\nTRL,2\n"] {
        bench.write("stock.csv", text);
        bench.check(&[], 1);
    }
    bench.write("stock.csv", "A,DAL,1\nB,DAL,2\nTRL,2\n");
    bench.check(&["stock.csv"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_trailer_that_does_not_come_is_told() {
    let keys = "complete = { by = \"trailer\" }\ntrailer = { starts_with = \"TRL\", count = 2 }";
    let mut bench = Bench::new("", keys);
    bench.write("stock.csv", "A,DAL,1\nTRL,2\n");
    bench.check(&[], 1);
    tokio::time::advance(crate::limits::TRAILER_PATIENCE).await;
    assert_eq!(bench.parked(), "the trailer counts 2 rows and the file has 1; is it whole?");
}

#[tokio::test(start_paused = true)]
async fn a_file_waits_until_it_does_not_grow() {
    let mut bench = Bench::new("", "complete = { by = \"unchanged\", for_ms = 5000 }");
    bench.write("stock.csv", "A,DAL,1\n");
    bench.check(&[], 1);
    tokio::time::advance(Duration::from_millis(4_999)).await;
    bench.check(&[], 1);
    bench.write("stock.csv", "A,DAL,1\nB,DAL,2\n");
    tokio::time::advance(Duration::from_millis(4_999)).await;
    bench.check(&[], 1);
    tokio::time::advance(Duration::from_millis(4_999)).await;
    bench.check(&[], 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    bench.check(&["stock.csv"], 0);
}

#[test]
fn a_file_that_is_too_large_is_parked_unread() {
    let mut bench = Bench::new("file_bytes_max = 10", "complete = { by = \"rename\" }");
    bench.write("stock.csv", "A,DAL,10\n");
    bench.check(&["stock.csv"], 0);
    bench.write("stock.csv", "A,DAL,1000\n");
    let reason = bench.parked();
    assert!(
        reason.starts_with("it has more than 10 bytes: export it in parts, or set file_bytes_max"),
        "{reason}"
    );
}

#[test]
fn an_export_of_the_future_is_as_old_as_its_arrival() {
    let keys = "complete = { by = \"rename\" }\nleader = { starts_with = \"H\", cut = 2 }\n\
                cut = { from = \"leader\", pattern = \"%Y%m%d\" }";
    let mut bench = Bench::new("", keys);
    for (day, is_past) in [("20010101", true), ("21991231", false)] {
        bench.write("stock.csv", &format!("H,{day}\nA,DAL,1\n"));
        bench.check(&["stock.csv"], 0);
        let caught_up = bench.intake.caught_up().unwrap().ledger.unwrap();
        let cut = if is_past { "2001-01-01T00:00:00Z".to_owned() } else { caught_up.to_string() };
        assert_eq!(caught_up.to_string(), cut);
        assert!(caught_up <= crate::runner::now(), "{caught_up}");
    }
    bench.write("stock.csv", "H,20261101\nA,DAL,1\n");
    let reason = bench.parked();
    assert!(reason.starts_with("it was cut at 2026-11-01T00:00:00Z, and one cut at 2199-12-31"), "{reason}");
}
