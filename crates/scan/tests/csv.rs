//! Promise: the CSV is the classic one, byte for byte, whatever bytes the names hold.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod common;

use std::io::Read;
use std::path::Path;

use common::{Row, Run, any_runs, metadata, path_of, write};
use proptest::prelude::*;
use pwalk_fs::{Meta, Time};
use pwalk_scan::{DirColumns, HEADER, read_metadata};

fn read(path: &Path) -> Vec<u8> {
    let (file, mut text) = (std::fs::read(path).unwrap(), Vec::new());
    match path.extension().unwrap().as_encoded_bytes() {
        b"zst" => text = zstd::decode_all(&*file).unwrap(),
        b"gz" => {
            flate2::read::MultiGzDecoder::new(&*file).read_to_end(&mut text).unwrap();
        }
        _ => text = file,
    }
    text
}

#[test]
fn lines_are_as_the_classic_program_writes_them() {
    let meta = Meta {
        ino: 18_446_744_073_709_551_615,
        size: 4096,
        blocks: 8,
        dev: 65_024,
        mode: 0o041_777,
        uid: 0,
        gid: 100,
        nlink: 3,
        atime: Time { sec: -1, nsec: 999_999_999 },
        mtime: Time { sec: 1_790_000_000, nsec: 999_999_999 },
        ctime: Time { sec: 253_402_300_800, nsec: 0 },
        ..Meta::default()
    };
    let file = Meta { mode: 0o100_644, ino: 7, uid: 1000, ..meta };
    let dir = DirColumns { fcount: 3, dirsum: 12_345, ..DirColumns::default() };
    let row = |name: &[u8], meta, dir| Row { name: name.to_vec(), meta, dir };
    let root = vec![row(b"/data/my.project", meta, Some(dir))];
    let inside = vec![
        row(b"say \"hi\".tar.g\"z", file, None),
        row(b"a\nb.t\txt", file, None),
        row(b".hidden", file, None),
        row(b"dir.d", meta, Some(DirColumns::default())),
        row(b"caf\xe9,.x", file, None),
    ];
    let runs = [
        Run { path: None, ino: 0, depth: -1, rows: root },
        Run { path: Some(b"/data/my.project".to_vec()), ino: 42, depth: 0, rows: inside },
        Run { path: None, ino: 0, depth: -1, rows: vec![row(b"/data.d/file", file, None)] },
        Run { path: Some(b"/".to_vec()), ino: 2, depth: 0, rows: vec![row(b"x.c", file, None)] },
    ];
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.csv");
    let odd: Vec<bool> = write(&path, &runs).iter().map(|o| o.unprintable).collect();
    assert_eq!(odd, [false, false, true, false, false, false, false, false]);
    let tail = "4096,65024,8,3,\"0100644\",-1,1790000000,253402300800,-1,0\n";
    let mut want = HEADER.as_bytes().to_vec();
    want.extend_from_slice(
        b"18446744073709551615,0,-1,\"/data/my.project\",\"\",0,100,4096,65024,8,3,\"0041777\",\
          -1,1790000000,253402300800,3,12345\n",
    );
    let mut line = |text: &[u8]| want.extend_from_slice(text);
    line(b"7,42,0,\"/data/my.project/say \"\"hi\"\".tar.g\"\"z\",\"g\"\"z\",1000,100,");
    line(tail.as_bytes());
    line(b"7,42,0,\"/data/my.project/ab.txt\",\"txt\",1000,100,");
    line(tail.as_bytes());
    line(b"7,42,0,\"/data/my.project/.hidden\",\"\",1000,100,");
    line(tail.as_bytes());
    line(b"18446744073709551615,42,0,\"/data/my.project/dir.d\",\"\",0,100,4096,65024,8,3,\"0041777\",");
    line(b"-1,1790000000,253402300800,0,0\n");
    line(b"7,42,0,\"/data/my.project/caf\xe9,.x\",\"x\",1000,100,");
    line(tail.as_bytes());
    line(b"7,0,-1,\"/data.d/file\",\"\",1000,100,");
    line(tail.as_bytes());
    line(b"7,2,0,\"/x.c\",\"c\",1000,100,");
    line(tail.as_bytes());
    assert_eq!(read(&path).escape_ascii().to_string(), want.escape_ascii().to_string());
}

/// A line as fields, by RFC 4180 and nothing of the code under test.
fn parse(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut lines, mut fields, mut field, mut quoted) = (Vec::new(), Vec::new(), Vec::new(), false);
    let mut bytes = text.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        match b {
            b'"' if quoted && bytes.peek() == Some(&b'"') => field.extend(bytes.next()),
            b'"' => quoted = !quoted,
            b',' if !quoted => fields.push(std::mem::take(&mut field)),
            b'\n' if !quoted => {
                fields.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut fields));
            }
            _ => field.push(b),
        }
    }
    assert!(!quoted && field.is_empty() && fields.is_empty(), "the text ends with a line");
    lines
}

fn want(run: &Run, row: &Row) -> Vec<Vec<u8>> {
    let printable = |bytes: &[u8]| bytes.iter().copied().filter(|&b| b >= 0x20).collect::<Vec<u8>>();
    let path = path_of(run, row);
    let name = path.rsplit(|&b| b == b'/').find(|part| !part.is_empty()).unwrap_or(b"");
    let extension = match name.iter().rposition(|&b| b == b'.') {
        Some(dot) if dot > 0 && row.dir.is_none() => &name[dot + 1..],
        _ => b"",
    };
    let m = &row.meta;
    let (count, sum) = row.dir.map_or((-1, 0), |d| (i128::from(d.fcount), i128::from(d.dirsum)));
    let number = |n: i128| n.to_string().into_bytes();
    let u = |n: u64| number(i128::from(n));
    vec![
        u(m.ino),
        u(run.ino),
        number(i128::from(run.depth)),
        printable(&path),
        printable(extension),
        u(m.uid.into()),
        u(m.gid.into()),
        u(m.size),
        u(m.dev),
        u(m.blocks),
        u(m.nlink.into()),
        format!("{:07o}", m.mode).into_bytes(),
        number(m.atime.sec.into()),
        number(m.mtime.sec.into()),
        number(m.ctime.sec.into()),
        number(count),
        number(sum),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn any_rows_come_back(runs in any_runs(), kind in 0..3_usize) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(["x.csv", "x.csv.zst", "x.csv.gz"][kind]);
        let odd = write(&path, &runs);
        let lines = parse(&read(&path));
        let rows: Vec<(&Run, &Row)> = runs.iter().flat_map(|run| run.rows.iter().map(move |row| (run, row))).collect();
        prop_assert_eq!(lines.len(), rows.len() + 1);
        for ((line, (run, row)), odd) in lines[1..].iter().zip(rows).zip(odd) {
            prop_assert_eq!(line, &want(run, row));
            prop_assert_eq!(odd.unprintable, path_of(run, row).iter().any(|&b| b < 0x20));
            prop_assert!(!odd.unrepresentable);
        }
        prop_assert_eq!(read_metadata(&path).unwrap(), (kind > 0).then(metadata));
    }
}
