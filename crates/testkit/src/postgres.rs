//! A private PostgreSQL server for one test, from the distribution's own programs.
//!
//! ```no_run
//! # use pwalk_testkit::Postgres;
//! let mut server = Postgres::start();
//! let url = server.database("catalog"); // a new, empty database
//! // … connect to url, commit something …
//! server.kill(); // as if the machine's power failed, but for what the kernel still writes
//! server.restart(); // recovers, on the same port
//! assert_eq!(server.psql("catalog", "select 1 + 1"), "2");
//! ```
//!
//! A real server was chosen over an imitation, since what the catalog promises (one transaction, what a crash leaves,
//! what a lock refuses) is the server's doing. The settings are those of a fresh installation, `fsync` included,
//! so that speeds mean something; [`QUICK`] is for tests to which a crash of the machine does not matter. Anybody
//! on this machine may connect as the superuser `postgres`: it lives for seconds and holds what a test made.
//!
//! **Nothing outlives the test.** PostgreSQL refuses to run as root, so for root it runs as user 65534. It is the
//! child of a shell (`guard.rs`) that ends it and removes its files when this process ends, however that happens;
//! and `setpriv --pdeathsig` ends it when somebody kills the shell.
//!
//! **A port is reserved, not guessed.** It is bound by this process for as long as the server object lives, with
//! `SO_REUSEADDR` and never listening, which lets the server listen on it and keeps the kernel from giving
//! it to anybody else, also between a kill and the restart.
//!
//! After a kill without a restart some hundred KiB stay in `/dev/shm`: only a server that starts on the same files
//! knows what to remove there.

mod guard;
mod programs;

use std::path::Path;
use std::process::Command;

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketAddrV4, SocketFlags, SocketType, ipproto, sockopt};

use self::guard::Guard;
use self::programs::Programs;
use crate::TempTree;

/// Settings for [`Postgres::start_with`]: do not wait for the disk. The data survives a killed server all the same, and
/// only a crash of the machine would lose it.
pub const QUICK: &[(&str, &str)] = &[("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")];

/// A running server, stopped and removed when dropped.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    settings: Vec<(String, String)>,
    port: u16,
    /// None between [`kill`](Self::kill) and [`restart`](Self::restart).
    running: Option<Guard>,
    _port_reserved: OwnedFd,
    /// Sockets and data. Always in `/tmp`, since the path of a socket has 107 bytes at most.
    home: TempTree,
}

impl Postgres {
    /// A new server with the settings of a fresh installation.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A new server with some settings of its own: names and values of `postgresql.conf`.
    #[must_use]
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let programs = Programs::find();
        let (port_reserved, port) = reserve_port();
        let home = TempTree::below(Path::new("/tmp"));
        programs.init(home.path());
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { programs, settings, port, running: None, _port_reserved: port_reserved, home };
        server.restart();
        server
    }

    /// Where the database `postgres` is, as a URL for libpq and what understands the same: by Unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Where a database of that name is or would be: by Unix socket.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let socket = self.home.path().to_str().expect("a path in /tmp is text").replace('/', "%2F");
        format!("postgresql://postgres@{socket}:{}/{database}", self.port)
    }

    /// The same by TCP, for clients that know no sockets.
    #[must_use]
    pub fn tcp_url_of(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port, of the socket and on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and says where it is. Its name is letters, digits and underscores.
    pub fn database(&self, name: &str) -> String {
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "a plain name, not {name:?}");
        self.psql("postgres", &format!("create database {name}"));
        self.url_of(name)
    }

    /// What `psql` prints for these statements: columns divided by `|`, rows by line ends, no headings. Panics with
    /// the server's words if one fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(self.programs.get("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, "-d"])
            .arg(self.url_of(database))
            .output()
            .expect("run psql");
        let (answer, words) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
        let (answer, words) = (answer.expect("psql prints text"), words.expect("psql prints text"));
        assert!(output.status.success(), "psql failed on {sql}: {words}");
        answer.trim_end_matches('\n').to_owned()
    }

    /// Kills the server and every process of it at once (SIGKILL), as a crash does. Returns when they are gone.
    pub fn kill(&mut self) {
        self.running.take().expect("a running server, not a killed one").kill();
    }

    /// Starts the server again after [`kill`](Self::kill), and waits until it has recovered.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "restart follows a kill");
        let mut command = self.programs.server(self.home.path());
        command.arg("-p").arg(self.port.to_string());
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.running = Some(Guard::post(self.home.path(), &command));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(guard) = self.running.take() {
            guard.stop();
        }
    }
}

fn reserve_port() -> (OwnedFd, u16) {
    let any = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0);
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP));
    let socket = socket.expect("make a TCP socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("let the server use the port too");
    rustix::net::bind(&socket, &any).expect("bind a port of 127.0.0.1");
    let address = rustix::net::getsockname(&socket).expect("the port just bound");
    let address = SocketAddrV4::try_from(address).expect("an IPv4 address");
    (socket, address.port())
}
