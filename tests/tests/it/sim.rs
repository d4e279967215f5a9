//! A hundred seeds of the simulation, and that a seed is one run.

use std::thread;

use pannier_tests::sim::{self, Options};

const SEEDS: u64 = 100;
/// Less than a campaign takes: this is run with everything else.
const STEPS: usize = 150;
const THREADS: u64 = 2;

#[test]
fn many_cores_and_a_naive_model_agree_whatever_fails() {
    let failed = thread::scope(|scope| {
        let worker = |first: u64| {
            move || {
                let mut seeds = (first..=SEEDS).step_by(THREADS as usize);
                seeds.find_map(|seed| sim::run(Options { seed, steps: STEPS }).err())
            }
        };
        let workers: Vec<_> = (1..=THREADS).map(|first| scope.spawn(worker(first))).collect();
        workers.into_iter().find_map(|worker| worker.join().unwrap())
    });
    if let Some(failure) = failed {
        panic!("{}", failure.told(STEPS));
    }
}

#[test]
fn the_same_seed_twice_writes_the_same_bytes() {
    for seed in [1, SEEDS] {
        if let Err(difference) = sim::twice(Options { seed, steps: STEPS }) {
            panic!("seed {seed}: {difference}");
        }
    }
}
