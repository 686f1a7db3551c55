//! `pgcluster`: a private PostgreSQL server for measuring, with the settings that Debian's has. It prints the URL of a database and runs until its
//! standard input ends.

use std::io::{self, Read, Write};

use pwalk_testkit::Postgres;

fn main() -> io::Result<()> {
    let server = Postgres::start();
    let mut out = io::stdout();
    writeln!(out, "{}", server.database("catalog"))?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
