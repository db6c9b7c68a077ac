//! Five hundred seeds, as everybody runs them, and the proof that a seed is a run: the same again, to the byte.
//! Must not know: what a run does.

use std::process::Command;

use simulator::report::{Sum, excerpt, rerun};
use simulator::weather::Fault;
use simulator::world::{Settings, run};

/// Runs the seeds of one share; a failure says the seed, the command that shows it again, and what came just before.
fn run_seeds(first: u64, count: u64) -> Sum {
    simulator::quiet_planted_panics();
    let mut sum = Sum::default();
    for seed in first..first + count {
        let settings = Settings::of(seed);
        let report = run(&settings);
        sum.add(seed, &report);
        if let Some(violation) = report.outcome.violation {
            let again = run(&Settings { keeps_trace: true, ..settings.clone() });
            let lines = excerpt(&again.outcome.lines).join("\n");
            panic!("{lines}\nseed {seed}: {violation}\nto see all of it: {}", rerun(&settings));
        }
    }
    eprintln!("{}", sum.words());
    sum
}

macro_rules! shares {
    ($($name:ident: $first:literal,)*) => {
        $(#[test]
        fn $name() {
            run_seeds($first, 50);
        })*

        /// So many seeds are run here in all.
        const SEEDS: u64 = 50 * [$($first),*].len() as u64;
    };
}

shares! {
    seeds_from_1: 1,
    seeds_from_51: 51,
    seeds_from_101: 101,
    seeds_from_151: 151,
    seeds_from_201: 201,
    seeds_from_251: 251,
    seeds_from_301: 301,
    seeds_from_351: 351,
    seeds_from_401: 401,
    seeds_from_451: 451,
}

const _: () = assert!(SEEDS >= 500);

#[test]
fn the_bad_times_are_bad_and_the_good_times_are_good() {
    let sum = run_seeds(1_001, 60);
    let missing: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| sum.count(*fault) == 0).collect();
    assert!(missing.is_empty(), "sixty runs without {missing:?} prove less than they claim");
}

/// One run of the program, whole.
fn trace_of(seed: u64) -> Vec<u8> {
    let program = env!("CARGO_BIN_EXE_simulator");
    let seed = seed.to_string();
    let output = Command::new(program).args(["--ticks", "120", "--trace", "--seed", &seed]).output().expect("it runs");
    assert!(output.status.success(), "seed {seed} fails");
    output.stdout
}

#[test]
fn the_same_seed_does_the_same_to_the_byte_in_another_process() {
    for seed in 2_001..2_013 {
        let (first, second) = (trace_of(seed), trace_of(seed));
        assert!(first.len() > 2_000, "seed {seed} does nothing");
        assert!(first == second, "seed {seed} differs from itself");
        assert!(first != trace_of(seed + 100), "another seed is another run");
    }
}

#[test]
fn a_trace_that_is_not_kept_has_the_same_digest() {
    let settings = Settings { ticks: 60, ..Settings::of(7) };
    let (kept, lost) = (run(&Settings { keeps_trace: true, ..settings.clone() }), run(&settings));
    assert!(!kept.outcome.lines.is_empty() && lost.outcome.lines.is_empty());
    assert_eq!(kept.outcome.digest, lost.outcome.digest);
    assert_ne!(run(&Settings { seed: 8, ..settings }).outcome.digest, kept.outcome.digest);
}
