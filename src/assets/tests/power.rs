//! The power is cut after every single operation that the store asks of the disk, in every way that matters.
//!
//! A scripted store runs on a disk that notes what it is asked (`recorder`). From that follow, for each moment, the
//! trees that may be found afterwards (`drive`); each is put on a real file system, recovered by the shipped code, and
//! compared with what must be there (`check`): no wrong byte, no claim without data, nothing lost that was proven.
//! That the proof would find a mistake is shown by planting some.

mod check;
mod drive;
mod recorder;
mod script;

use super::crash::Rng;
use super::*;
use check::Proof;
use recorder::Plant;
use script::{World, random_story, whole_story};

/// One of the stories on a disk with this defect, cut short everywhere.
fn proof_of_the_whole_story(plant: Option<Plant>, torn: u64) -> Proof {
    let mut world = World::new(Bench::in_memory(), plant, 1);
    whole_story(&mut world);
    let mut proof = Proof::living_on(if plant.is_none() { 150 } else { 0 });
    proof.of(&world, &mut Rng(1), torn);
    proof
}

#[track_caller]
fn holds(proof: &Proof) {
    let first: Vec<_> = proof.failures.iter().take(5).collect();
    assert!(first.is_empty(), "{} of {}: {first:#?}", proof.failures.len(), proof.images);
}

#[test]
fn a3_wherever_the_power_is_cut_no_wrong_byte_is_served_and_nothing_proven_is_lost() {
    let proof = proof_of_the_whole_story(None, 36);
    holds(&proof);
    assert!(proof.images >= 10_000, "{}", proof.images);
}

#[test]
fn a3_the_same_holds_whatever_a_store_goes_through() {
    let mut images = 0;
    for seed in 0..4 {
        let mut world = World::new(Bench::in_memory(), None, 1);
        random_story(&mut world, &mut Rng(seed), 60);
        let mut proof = Proof::living_on(200);
        proof.of(&world, &mut Rng(seed), 3);
        holds(&proof);
        images += proof.images;
    }
    assert!(images >= 5000, "{images}");
}

#[test]
fn a3_the_same_holds_where_files_are_closed_whenever_they_may_be() {
    let mut rests = 0;
    for seed in 10..13 {
        let mut world = World::new(Bench::in_memory(), None, 1);
        world.resting = Some(0);
        random_story(&mut world, &mut Rng(seed), 60);
        rests += world.resting.unwrap_or(0);
        let mut proof = Proof::living_on(200);
        proof.of(&world, &mut Rng(seed), 3);
        holds(&proof);
    }
    assert!(rests >= 10, "{rests}");
}

/// Each defect is found, and as what it is.
#[test]
fn a3_the_proof_finds_planted_defects() {
    for (plant, told) in [
        (Plant::RecordBeforeData, "wrong bytes"),
        (Plant::NoFolderSync, "was proven"),
        (Plant::ClaimBeforeSync, "wrong bytes"),
        // A log that comes back does not know of holes.
        (Plant::NoFolderSync, "wrong bytes"),
        (Plant::HoleBeforeRecord, "wrong bytes"),
    ] {
        let proof = proof_of_the_whole_story(Some(plant), 4);
        let found = proof.failures.iter().filter(|why| why.contains(told)).count();
        assert!(found > 0, "{plant:?}: {} images, {:?}", proof.images, proof.failures.first());
    }
}
