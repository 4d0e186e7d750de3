//! Files as a whole: encodings, line ends, emptiness.

use super::{ONE, nothing_queued, quiet, says};

#[test]
fn a_file_without_a_request_is_refused() {
    let overnight = quiet();
    for file in ["", "\n\n  \t\n\r\n", "\u{feff}"] {
        let ran = overnight.submit(file, "");
        says(&ran, 4, &["error[bad_input]: in.jsonl: no requests in it", "nothing was queued"]);
        nothing_queued(&overnight, &ran);
    }
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let overnight = quiet();
    let ran = overnight.run("submit nowhere.jsonl");
    says(&ran, 4, &["nowhere.jsonl", "No such file"]);
    nothing_queued(&overnight, &ran);
}

#[test]
fn what_editors_leave_behind_is_accepted_and_said() {
    let overnight = quiet();
    let file =
        "\u{feff}{\"custom_id\":\"a\",\"prompt\":\"1\"}\r\n\r\n   \n\n{\"custom_id\":\"b\",\"prompt\":\"2\"}";
    let ran = overnight.submit(file, "");
    says(&ran, 0, &["2 items queued", "3 blank lines skipped"]);
    assert_eq!(overnight.job()["items"], 2);
}

#[test]
fn utf_16_is_refused_with_the_encoding_to_use() {
    let overnight = quiet();
    let little: Vec<u8> = "\u{feff}{\"a\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = "\u{feff}{\"a\":1}\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let unmarked: Vec<u8> = "{\"a\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for file in [little, big, unmarked] {
        let ran = overnight.submit(file, "");
        says(&ran, 4, &["line 1, column 1", "UTF-16", "save it as UTF-8"]);
        nothing_queued(&overnight, &ran);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let overnight = quiet();
    let bad = [ONE.as_bytes(), b"{\"custom_id\":\"\xc3\xa4\xff\"}\n", b"{\"prompt\":\"a\0b\"}\n"].concat();
    let ran = overnight.submit(bad, "");
    let said = [
        "2 of 3 lines cannot be used",
        "line 2, column 16: not valid UTF-8; save the file as UTF-8",
        "line 3, column 13: a NUL byte",
        "--skip-bad to queue the other one",
    ];
    says(&ran, 4, &said);
    nothing_queued(&overnight, &ran);
}

#[test]
fn a_compressed_file_that_is_cut_is_refused_whole() {
    use std::io::Write;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for n in 0..1_000 {
        writeln!(gz, "{{\"prompt\":\"{n}\"}}").unwrap();
    }
    let whole = gz.finish().unwrap();
    let overnight = quiet();
    overnight.write("in.jsonl.gz", &whole[..whole.len() / 2]);
    let ran = overnight.run("submit in.jsonl.gz");
    says(&ran, 4, &["in.jsonl.gz", "nothing was queued"]);
    nothing_queued(&overnight, &ran);
    overnight.write("in.jsonl.gz", &whole);
    assert_eq!(overnight.run("submit in.jsonl.gz").code, 0);
    assert_eq!(overnight.job()["items"], 1_000);
}

#[test]
fn the_same_file_is_the_same_job() {
    let overnight = quiet();
    let first = overnight.submit(ONE, "");
    let second = overnight.submit(ONE, "");
    says(&second, 0, &["queued before: same file, same options"]);
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(overnight.jobs().len(), 1);
}
