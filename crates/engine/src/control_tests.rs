//! The controller against simulated file systems: no clock, no threads, no luck.

use super::*;

/// A file system with `slots` places to serve a call in, each taking `service`; on `cores` cores of
/// which a call takes `cpu`.
struct Simulated {
    service: Duration,
    slots: usize,
    cpu: Duration,
    cores: usize,
    time: Duration,
    /// Calls begun but not counted yet (a part of one).
    part: f64,
    /// What the limit was, and for how long.
    history: Vec<(Duration, usize)>,
    calls: u64,
}

impl Simulated {
    fn new(service_us: u64, slots: usize, cpu_us: u64, cores: usize) -> Self {
        Self {
            service: Duration::from_micros(service_us),
            slots,
            cpu: Duration::from_micros(cpu_us),
            cores,
            time: Duration::ZERO,
            part: 0.0,
            history: Vec::new(),
            calls: 0,
        }
    }

    /// Calls a second that `workers` get through: bound by latency, by the server, or by the cores.
    fn rate(&self, workers: usize) -> f64 {
        let each = self.service.as_secs_f64() + self.cpu.as_secs_f64();
        let by_latency = as_f64(workers as u64) / each;
        let by_server = as_f64(self.slots as u64) / self.service.as_secs_f64().max(1e-9);
        let by_cores = as_f64(self.cores as u64) / self.cpu.as_secs_f64().max(1e-9);
        by_latency.min(by_server).min(by_cores)
    }

    fn run(&mut self, controller: &mut Controller, for_time: Duration) {
        let end = self.time + for_time;
        while self.time < end {
            let elapsed = controller.interval();
            let limit = controller.limit();
            let done = self.rate(limit) * elapsed.as_secs_f64() + self.part;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let calls = done as u64;
            self.part = done - as_f64(calls);
            let cpu = self.cpu.mul_f64(as_f64(calls));
            controller.sample(&Sample { elapsed, calls, cpu, ..Sample::default() });
            self.time += elapsed;
            self.calls += calls;
            self.history.push((elapsed, limit));
        }
    }

    /// The share of the time since `from` that the limit satisfied `what`.
    fn share(&self, from: Duration, what: impl Fn(usize) -> bool) -> f64 {
        let (mut at, mut yes, mut all) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for &(elapsed, limit) in &self.history {
            if at >= from {
                all += elapsed;
                if what(limit) {
                    yes += elapsed;
                }
            }
            at += elapsed;
        }
        yes.as_secs_f64() / all.as_secs_f64()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_warm_local_disk_gets_as_many_workers_as_cores() {
    let mut disk = Simulated::new(0, usize::MAX >> 12, 2, 2);
    let mut c = Controller::new(2, 256);
    disk.run(&mut c, 10 * SECOND);
    assert_eq!(disk.share(Duration::ZERO, |limit| limit == 2), 1.0);
}

#[test]
fn a_server_a_millisecond_away_gets_hundreds_within_a_quarter_second() {
    let mut server = Simulated::new(1000, 100_000, 1, 2);
    let mut c = Controller::new(2, 256);
    server.run(&mut c, SECOND / 4);
    assert_eq!(c.limit(), 256);
    server.run(&mut c, 10 * SECOND);
    assert_eq!(server.share(SECOND / 4, |limit| limit == 256), 1.0, "and keeps them");
}

#[test]
fn a_server_that_serves_64_at_once_is_not_pushed_further() {
    let mut server = Simulated::new(1000, 64, 1, 2);
    let mut c = Controller::new(2, 256);
    server.run(&mut c, 60 * SECOND);
    assert_eq!(server.share(SECOND, |limit| limit > 128), 0.0, "never two steps beyond");
    assert!(server.share(SECOND, |limit| limit > 64) < 0.05, "seldom even tried");
    assert!(server.share(SECOND, |limit| limit == 64) > 0.95);
    let ideal = 64.0 * 1000.0 * 60.0;
    assert!(as_f64(server.calls) > 0.97 * ideal, "and nothing is lost by trying");
}

#[test]
fn a_cold_local_disk_gets_what_its_queue_takes() {
    // 60 µs a read, eight at once; two cores.
    let mut disk = Simulated::new(60, 8, 2, 2);
    let mut c = Controller::new(2, 256);
    disk.run(&mut c, 10 * SECOND);
    assert!(disk.share(SECOND, |limit| limit == 8) > 0.9, "share {}", disk.share(SECOND, |l| l == 8));
}

#[test]
fn a_server_that_slows_down_half_way_gets_more() {
    let mut server = Simulated::new(500, 32, 1, 2);
    let mut c = Controller::new(2, 256);
    server.run(&mut c, 5 * SECOND);
    assert!(server.share(SECOND, |limit| limit == 32) > 0.9);
    // Eight times slower, but it takes as many as come.
    server.service = Duration::from_millis(4);
    server.slots = 100_000;
    server.run(&mut c, 2 * SECOND);
    assert_eq!(c.limit(), 256);
}

#[test]
fn a_cache_that_warms_up_sends_the_workers_home() {
    let mut disk = Simulated::new(1000, 100_000, 2, 2);
    let mut c = Controller::new(2, 64);
    disk.run(&mut c, SECOND);
    assert_eq!(c.limit(), 64);
    disk.service = Duration::ZERO;
    disk.run(&mut c, 5 * SECOND);
    assert_eq!(c.limit(), 2);
}

#[test]
fn without_queued_work_nobody_is_added() {
    let mut c = Controller::new(2, 256);
    for _ in 0..1000 {
        let elapsed = c.interval();
        c.sample(&Sample { elapsed, calls: 2, hungry: 1, ..Sample::default() });
    }
    assert_eq!(c.limit(), 2);
}

#[test]
fn cores_that_others_use_are_not_idle() {
    let mut c = Controller::new(2, 256);
    for _ in 0..1000 {
        let elapsed = c.interval();
        // Half the time of each worker goes by in the queue for a core.
        let (cpu, starved) = (elapsed, elapsed / 2);
        c.sample(&Sample { elapsed, calls: 1000, cpu, starved, ..Sample::default() });
    }
    assert_eq!(c.limit(), 2);
}

#[test]
fn the_bounds_hold_whatever_is_measured() {
    let mut c = Controller::new(4, 3);
    assert_eq!(c.limit(), 3);
    for i in 0..10_000_u64 {
        let calls = (i * 7919) % 5000;
        let cpu = Duration::from_micros((i * 104_729) % 4000);
        let limit = c.sample(&Sample { elapsed: Duration::from_millis(2), calls, cpu, ..Sample::default() });
        assert!((1..=3).contains(&limit));
    }
}
