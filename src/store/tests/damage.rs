//! What happens to files: torn, bent, missing, full, taken.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::night::{Deed, Dice, Night, assert_same, fold};
use super::rig::{FileRig, MemoryRig, Rig, items, job};
use crate::job::JobId;
use crate::record::FORMAT;
use crate::store::disk::Fault;
use crate::store::{Store, StoreError};

/// A night with some records, all synced, the last few each by itself.
fn worked(seed: u64, n_steps: usize) -> Night<FileRig> {
    let mut night = Night::new(FileRig::new(), seed);
    (0..n_steps).for_each(|_| night.step());
    night.checkpoint();
    for _ in 0..4 {
        night.start();
        night.sync();
    }
    night
}

fn newest_segment(rig: &FileRig) -> PathBuf {
    let dir = rig.state().join("journal");
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).max().unwrap()
}

fn set_byte(path: &Path, at: usize, change: impl Fn(u8) -> u8) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] = change(bytes[at]);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_tail_torn_at_any_byte_costs_one_record() {
    let mut night = worked(5, 40);
    let path = newest_segment(&night.rig);
    let before = std::fs::metadata(&path).unwrap().len();
    night.start();
    night.sync();
    let whole = std::fs::read(&path).unwrap();
    night.log.pop();
    for len in before..whole.len() as u64 {
        night.rig.open = None;
        std::fs::write(&path, &whole[..len as usize]).unwrap();
        night.rig.crash(false);
        night.check_recovery();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), before, "cut back to the last good record");
    }
}

#[test]
fn a_group_torn_in_the_middle_is_a_torn_tail() {
    let mut night = worked(6, 40);
    let path = newest_segment(&night.rig);
    let before = std::fs::metadata(&path).unwrap().len() as usize;
    (0..3).for_each(|_| night.start());
    night.sync();
    night.rig.open = None;
    // The page with the first of the three never reached the disk, the others did.
    (0..30).for_each(|n| set_byte(&path, before + n, |_| 0));
    night.log.truncate(night.log.len() - 3);
    night.rig.crash(false);
    night.check_recovery();
}

#[test]
fn a_bent_record_with_durable_ones_behind_it_is_refused() {
    let mut night = worked(7, 40);
    let path = newest_segment(&night.rig);
    let before = std::fs::metadata(&path).unwrap().len() as usize;
    night.start();
    night.sync();
    let after = std::fs::metadata(&path).unwrap().len() as usize;
    night.start();
    night.sync();
    for at in before..after {
        night.rig.open = None;
        set_byte(&path, at, |byte| byte ^ 0x10);
        let message = night.rig.open().err().expect("damage is not passed over").to_string();
        assert!(message.contains("overnight store repair"), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        set_byte(&path, at, |byte| byte ^ 0x10);
    }
    night.check_after_reopening();
}

#[test]
fn a_bent_head_is_refused() {
    let mut night = worked(8, 40);
    let path = newest_segment(&night.rig);
    night.rig.open = None;
    for at in [0, 9, 30, 60] {
        set_byte(&path, at, |byte| byte ^ 1);
        assert!(matches!(night.rig.open(), Err(StoreError::Damaged(_))), "byte {at}");
        set_byte(&path, at, |byte| byte ^ 1);
    }
}

#[test]
fn any_damage_to_the_index_is_healed() {
    let mut night = worked(9, 120);
    night.index_was_lost();
    let index = night.rig.state().join("index");
    let mut dice = Dice(4);
    for round in 0..24 {
        night.rig.open = None;
        let files = files_in(&index);
        let file = &files[dice.below(files.len() as u64) as usize];
        let len = std::fs::metadata(file).unwrap().len();
        match round % 4 {
            0 => {
                // A burst, as a bad sector makes.
                let at = dice.below(len.max(1)) as usize;
                let burst = at..(at + 600).min(len as usize);
                burst.for_each(|at| set_byte(file, at, |byte| byte ^ 0xA5));
            }
            1 => std::fs::OpenOptions::new()
                .write(true)
                .open(file)
                .unwrap()
                .set_len(dice.below(len.max(1)))
                .unwrap(),
            2 => std::fs::remove_file(file).unwrap(),
            _ => (0..len.min(3)).for_each(|_| {
                let at = dice.below(len) as usize;
                set_byte(file, at, |byte| byte ^ 1);
            }),
        }
        println!("round {round}: {}", file.display());
        night.check_after_reopening();
        (0..15).for_each(|_| night.step());
        night.checkpoint();
    }
    let names = std::fs::read_dir(night.rig.state()).unwrap().map(|entry| entry.unwrap().file_name());
    let kept = names.filter(|name| name.to_string_lossy().starts_with("index.broken-")).count();
    assert!(kept <= 1, "one broken index is enough to look at");
}

#[test]
fn an_index_that_is_not_sled_is_set_aside() {
    let mut night = worked(10, 60);
    night.index_was_lost();
    night.rig.open = None;
    let index = night.rig.state().join("index");
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::write(&index, "not a folder").unwrap();
    night.check_after_reopening();
    night.checkpoint();
    night.check_after_reopening();
}

#[test]
fn an_index_with_one_wrong_value_is_not_believed() {
    let spoil: [fn(&sled::Db, &[u8]); 3] = [
        |db, key| drop(db.remove(key).unwrap()),
        |db, key| {
            drop(db.insert(key, db.get(key).unwrap().unwrap().iter().map(|b| b ^ 4).collect::<Vec<u8>>()));
        },
        |db, key| drop(db.insert([key, b"0"].concat(), b"more").unwrap()),
    ];
    for spoil in spoil {
        let mut night = worked(17, 100);
        night.index_was_lost();
        let index = night.rig.state().join("index");
        let keys = {
            night.rig.open = None;
            let db = sled::open(&index).unwrap();
            db.iter().keys().map(Result::unwrap).filter(|key| key.starts_with(b"c")).collect::<Vec<_>>()
        };
        assert!(!keys.is_empty());
        for key in keys {
            night.rig.open = None;
            let db = sled::open(&index).unwrap();
            spoil(&db, &key);
            drop(db);
            night.check_after_reopening();
            assert!(night.rig.state().join("index.broken-1").exists(), "it was noticed");
            std::fs::remove_dir_all(night.rig.state().join("index.broken-1")).unwrap();
            night.checkpoint();
        }
    }
}

#[test]
fn an_index_older_than_the_journal_is_rebuilt() {
    let mut night = worked(18, 60);
    night.index_was_lost();
    night.rig.open = None;
    let index = night.rig.state().join("index");
    let old: Vec<(PathBuf, Vec<u8>)> =
        files_in(&index).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    night.check_after_reopening();
    for _ in 0..4 {
        (0..80).for_each(|_| night.step());
        night.finish();
        night.checkpoint();
    }
    assert!(!night.rig.state().join("journal/000001.seg").exists(), "old segments are gone");
    night.rig.open = None;
    std::fs::remove_dir_all(&index).unwrap();
    for (path, bytes) in old {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    night.check_after_reopening();
}

#[test]
fn a_repaired_journal_is_the_records_before_the_damage() {
    for (seed, which) in [(19, 0), (20, 1), (21, 2)] {
        let mut night = worked(seed, 10);
        night.rig.sizes.journal_segment = 2_000;
        night.check_after_reopening();
        for _ in 0..3 {
            for _ in 0..10 {
                night.start();
                night.sync();
            }
            night.checkpoint();
        }
        assert_eq!(night.rig.repair().unwrap(), None, "nothing to repair");
        night.index_was_lost();
        let segments = files_in(&night.rig.state().join("journal"));
        let path = &segments[which.min(segments.len() - 2)];
        let len = std::fs::metadata(path).unwrap().len() as usize;
        set_byte(path, len - 100, |byte| byte ^ 1);
        let next_attempt = night.ledger.globals.next_attempt;
        let repaired = night.rig.repair().unwrap().expect("there was damage");
        assert!(repaired.set_aside.iter().all(|path| path.exists()));
        assert!(repaired.kept_to < night.log.len() as u64);
        night.log.truncate(repaired.kept_to as usize);
        night.rig.open().unwrap();
        let recovered = night.rig.store().recover().unwrap();
        assert!(recovered.globals.next_attempt > next_attempt, "no attempt gets a name that was used");
        let mut expected = fold(&night.jobs, &night.log);
        expected.globals.next_attempt = recovered.globals.next_attempt;
        assert_same(&recovered, &expected, false);
        assert_eq!(night.rig.repair().unwrap(), None);
    }
}

#[test]
fn an_index_ahead_of_the_journal_is_refused() {
    let mut rig = FileRig::closed();
    rig.sizes.journal_segment = 1 << 20;
    rig.open().unwrap();
    let mut night = Night::new(rig, 11);
    (0..20).for_each(|_| night.start());
    night.checkpoint();
    let path = newest_segment(&night.rig);
    night.rig.open = None;
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 3).unwrap();
    let recovered = night.rig.open().unwrap().recover();
    assert!(
        matches!(recovered, Err(StoreError::Damaged(message)) if message.contains("index knows record 20"))
    );
}

#[test]
fn after_a_clean_end_the_index_is_trusted_by_another_start_of_the_machine() {
    let mut night = worked(12, 60);
    night.rig.open.take().unwrap().close().unwrap();
    let session = night.rig.state().join("SESSION");
    assert!(std::fs::read_to_string(&session).unwrap().starts_with("clean "));
    std::fs::write(&session, "clean another-boot\n").unwrap();
    // Without its parts nothing could be rebuilt.
    night.rig.parts.lock().unwrap().clear();
    night.check_after_reopening();
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let mut rig = FileRig::new();
    let first = rig.open.take();
    match rig.open() {
        Err(StoreError::Owned { pid, path }) => {
            assert_eq!(pid, std::process::id());
            assert_eq!(Path::new(&path), rig.state());
        }
        _ => panic!("the store has two owners"),
    }
    drop(first);
    rig.open().unwrap();
}

#[test]
fn a_newer_store_is_left_alone() {
    let mut rig = FileRig::new();
    rig.open = None;
    std::fs::write(rig.state().join("FORMAT"), format!("{}\n", FORMAT + 1)).unwrap();
    assert!(matches!(rig.open(), Err(StoreError::Newer(message)) if message.contains("newer version")));
}

#[test]
fn a_full_disk_takes_nothing_back_that_was_synced() {
    let mut night = worked(13, 30);
    let path = newest_segment(&night.rig);
    let before = std::fs::metadata(&path).unwrap().len();
    let ballast = night.rig.state().join("BALLAST");
    assert!(ballast.exists());
    night.start();
    night.rig.disk.fail_at(night.rig.disk.ops() + 1, Fault::Full);
    for _ in 0..2 {
        let error = night.rig.files().sync().expect_err("there is no room");
        assert!(matches!(&error, StoreError::DiskFull(message) if message.contains("needed in")), "{error}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), before, "half a write was taken back");
    }
    assert!(!ballast.exists(), "its space is free for the answers in flight");
    night.start();
    night.rig.disk.heal();
    night.sync();
    night.crash(false);
    night.checkpoint();
    assert!(ballast.exists(), "there is room again");
}

#[test]
fn a_checkpoint_that_met_a_full_disk_is_made_good_by_the_next() {
    let mut night = worked(14, 50);
    for _ in 0..5 {
        night.start();
        night.end();
    }
    let lost = night.take_checkpoint();
    night.rig.disk.fail_at(night.rig.disk.ops() + 1, Fault::Full);
    assert!(matches!(night.rig.files().checkpoint(&lost), Err(StoreError::DiskFull(_))));
    night.rig.disk.heal();
    night.rig.disk.pretend_free(1 << 20);
    let lost = night.take_checkpoint();
    assert!(matches!(night.rig.files().checkpoint(&lost), Err(StoreError::DiskFull(_))), "sled is not asked");
    night.rig.disk.heal();
    night.checkpoint();
    night.crash(false);
}

#[test]
fn after_a_failed_sync_nothing_more_is_written() {
    let mut night = worked(15, 30);
    night.start();
    night.rig.disk.fail_at(night.rig.disk.ops() + 2, Fault::Broken);
    assert!(matches!(night.rig.files().sync(), Err(StoreError::Io(..))));
    for _ in 0..2 {
        assert!(night.rig.files().sync().is_err(), "the disk works again, the journal does not try it");
        assert!(night.rig.files().append(&[]).is_err());
    }
    // What had reached the file may be there after a restart: it was written, only not promised.
    let seq = night.rig.open().unwrap().recover().unwrap().globals.seq;
    assert!((night.synced..=night.log.len()).contains(&(seq as usize)));
}

#[test]
fn too_little_space_is_said_at_the_start_and_at_submit() {
    let mut rig = FileRig::new();
    let is_full =
        |result: Result<(), StoreError>| matches!(result, Err(StoreError::DiskFull(m)) if m.contains("free"));
    rig.disk.pretend_free(10_000);
    rig.files().check_room(1_000, 10).unwrap();
    assert!(is_full(rig.files().check_room(10_000, 10)));
    assert!(is_full(rig.files().check_room(1_000, 100)));
    rig.open = None;
    rig.disk.pretend_free(4_095);
    assert!(is_full(rig.open().map(|_| ())));
}

#[test]
fn a_bent_frame_names_the_items_it_held() {
    let mut rig = FileRig::new();
    let job = job("job_000000", 500);
    rig.stage(&job, &items(&job));
    rig.store().accept(&job).unwrap();
    let path = rig.state().join("prompts/job_000000/000002.seg");
    set_byte(&path, 50, |byte| byte ^ 1);
    let mut reader = rig.files().reader();
    let mut lost = 0;
    for index in 0..500 {
        match reader.read(&job.id, &[index]) {
            Ok(items) => assert_eq!(items[0].index, index),
            Err(StoreError::Damaged(message)) => {
                assert!(message.contains("000002.seg"), "{message}");
                let range: Vec<u32> = message.split(' ').filter_map(|word| word.parse().ok()).collect();
                assert!((range[0]..=range[1]).contains(&index), "{message}");
                lost += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(lost, 64);
}

#[test]
fn a_job_whose_header_or_frame_list_is_bent_is_refused() {
    let mut rig = FileRig::new();
    let job = job("job_000000", 100);
    rig.stage(&job, &items(&job));
    rig.store().accept(&job).unwrap();
    let mut segments = files_in(&rig.state().join("prompts/job_000000"));
    segments.retain(|path| path.extension().is_some());
    let last = segments.iter().max().unwrap();
    let len = std::fs::metadata(last).unwrap().len() as usize;
    for back in [1, 10, 28, 40, 200] {
        set_byte(last, len - back, |byte| byte ^ 1);
        assert!(matches!(rig.store().recover(), Err(StoreError::Damaged(_))), "{back} bytes before the end");
        set_byte(last, len - back, |byte| byte ^ 1);
    }
    rig.store().recover().unwrap();
}

#[test]
fn items_out_of_order_and_headers_that_do_not_fit_are_refused() {
    let mut rig = FileRig::new();
    let job = job("job_000000", 3);
    let items = items(&job);
    let mut writer = rig.files().stage(&job.id).unwrap();
    assert!(writer.push(&items[1]).is_err());
    writer.push(&items[0]).unwrap();
    assert!(writer.finish(&job).is_err(), "two items are missing");
    let staging = rig.state().join("prompts/.staging-job_000000");
    assert!(!staging.exists(), "nothing is left behind");
    std::mem::forget(rig.files().stage(&job.id).unwrap());
    assert!(staging.exists());
    rig.crash(false);
    assert!(!staging.exists(), "a submission that never happened");
}

#[test]
fn only_the_owner_can_read_the_files() {
    let night = worked(16, 20);
    let mut pending = vec![night.rig.state()];
    while let Some(dir) = pending.pop() {
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700, "{}", dir.display());
        for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let (path, mode) = (entry.path(), entry.metadata().unwrap().permissions().mode() & 0o777);
            match path.is_dir() {
                // sled chooses the modes in its folder, which only the owner can enter.
                true if path.ends_with("index") => assert_eq!(mode, 0o700),
                true => pending.push(path),
                false => assert_eq!(mode, 0o600, "{}", path.display()),
            }
        }
    }
}

#[test]
fn a_job_with_more_chunks_than_a_batch_is_indexed_whole() {
    // 5,000 chunks would be 20 million items; the same path is taken by 5,001 jobs of one.
    let mut rig = FileRig::new();
    let mut checkpoint = crate::record::Checkpoint::default();
    for n in 0..5_001 {
        let job = JobId::new(format!("job_{n:06}"));
        checkpoint.snapshot.jobs.push((job.clone(), crate::ledger::JobLedger::default()));
        checkpoint.chunks.push((job, 0, vec![3]));
    }
    rig.files().checkpoint(&checkpoint).unwrap();
    rig.crash(false);
    let loaded = rig.files().loaded_index().unwrap().expect("it is whole");
    assert_eq!(loaded.chunks.len(), 5_001);
    assert_eq!(loaded.snapshot.jobs.len(), 5_001);
}

/// The loop of SQLite's tests: end the process at the first durable operation, then at the second, …
#[test]
fn the_process_may_end_at_every_durable_operation() {
    let mut source = Night::empty(MemoryRig::new(), 21);
    source.accept();
    (0..70).for_each(|_| source.step());
    source.finish();
    source.checkpoint();
    for k in 1.. {
        let mut rig = FileRig::closed();
        rig.disk.fail_at(k, Fault::Cut);
        let played = play(&mut rig, &source);
        let ended = rig.disk.ops() >= k;
        rig.open = None;
        rig.disk.heal();
        // Recovery may be ended too, and then begins anew.
        rig.disk.fail_at(rig.disk.ops() + 1 + k % 7, Fault::Cut);
        let _ = rig.open().and_then(|store| store.recover());
        rig.disk.heal();
        let ledger = rig.open().unwrap().recover().unwrap();
        let seq = ledger.globals.seq as usize;
        assert!((played.promised..=played.appended).contains(&seq), "operation {k}: {seq} records");
        let mut jobs = source.jobs[..played.accepted].to_vec();
        if ledger.jobs().count() > jobs.len() {
            jobs.push(source.jobs[played.accepted].clone());
        }
        assert_same(&ledger, &fold(&jobs, &source.log[..seq]), true);
        if !ended {
            assert!(k > 60, "the script has become too short to be a test");
            break;
        }
    }
}

#[derive(Default)]
struct Played {
    accepted: usize,
    appended: usize,
    promised: usize,
}

/// Plays a script until it ends or the process does.
fn play(rig: &mut FileRig, source: &Night<MemoryRig>) -> Played {
    let mut played = Played::default();
    if rig.open().is_err() {
        return played;
    }
    for deed in &source.script {
        let done = match deed {
            Deed::Part(job, part, states) => {
                rig.write_part(job, *part, states.clone());
                Ok(())
            }
            Deed::Append(record) => {
                played.appended += 1;
                rig.files().append(std::slice::from_ref(record))
            }
            Deed::Sync => rig.files().sync().map(|_| ()),
            Deed::Checkpoint(checkpoint) => rig.files().checkpoint(checkpoint),
            Deed::Accept(job) => rig.files().stage(&job.id).and_then(|mut writer| {
                items(job).iter().try_for_each(|item| writer.push(item))?;
                writer.finish(job)?;
                rig.files().accept(job)
            }),
        };
        if done.is_err() {
            return played;
        }
        match deed {
            Deed::Accept(_) => played.accepted += 1,
            Deed::Sync | Deed::Checkpoint(_) => played.promised = played.appended,
            Deed::Append(_) | Deed::Part(..) => {}
        }
    }
    played
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => files.extend(files_in(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files.sort();
    files
}
