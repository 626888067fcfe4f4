//! `serve`: who is refused, and a sweep that is shown, stopped and continued.

use std::net::{TcpListener, TcpStream};
use std::path::Path;

use bench_experiment::run::Outcome;
use bench_report::live;
use serde_json::Value;

use crate::program::{MLP, Served, bench_runner, results};
use crate::synthetic;

const SLOW: &str = r#"
[[problem]]
label = "slow"
kind = "function"
function = "rosenbrock"
dimension = 10
budget = 600000
points = 40
target = 1e-3
"#;

const OPTIMIZERS: &str = r#"
[[optimizer]]
kind = "adam"
learning_rate = 1e-4

[[optimizer]]
kind = "lbfgs"

[[optimizer]]
kind = "sgd"
problems = ["slow"]
learning_rate = 1e300
"#;

/// Problems of which the first takes seconds; SGD diverges on it.
pub fn experiment() -> String {
    let head = "name = \"tiny\"\ndescription = \"A sweep to look at.\"\nseeds = 2\n";
    format!("{head}{SLOW}{MLP}{OPTIMIZERS}")
}

fn state(served: &Served) -> Value {
    let (status, text) = served.get("state/0");
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Asks for the state until it is as wished.
fn until(served: &Served, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let state = state(served);
        if is_so(&state) {
            return state;
        }
        assert_ne!(state["phase"], "failed", "{state}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn with_phase(served: &Served, phase: &str) -> Value {
    until(served, |state| state["phase"] == phase)
}

#[test]
fn a_sweep_is_shown_stopped_and_continued_and_ends_as_that_of_ablation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tiny.toml"), experiment()).unwrap();
    let call = ["tiny.toml", "--out", "out", "--store", "store"];
    let served = Served::start(path, &[&call[..], &["--jobs", "1", "--fresh"]].concat());
    let (status, page) = served.get("");
    assert_eq!(status, 200);
    assert!(page.contains("<progress"), "{page}");

    // A run is under way, and its curve grows. Which is the first hangs on what they are expected to take.
    let begun = |state: &Value| {
        let mut runs = state["under_way"].as_array().unwrap().iter();
        let run = runs.find(|run| run["share"].as_f64().unwrap() > 0.0)?;
        run["problem"].as_u64()
    };
    let running = until(&served, |state| begun(state).is_some());
    let problem = begun(&running).unwrap();
    assert_eq!(running["phase"], "running");
    assert!((0.0..1.0).contains(&running["share"].as_f64().unwrap()));
    assert_eq!(running["planned"], 10);
    assert_eq!(served.post("continue"), 409, "it is under way already");
    let outline: Value = serde_json::from_str(&served.get("outline").1).unwrap();
    assert_eq!(outline["name"], "tiny");
    assert_eq!(
        outline["problems"][0]["optimizers"],
        serde_json::json!([0, 1, 2])
    );
    assert_eq!(
        outline["problems"][1]["optimizers"],
        serde_json::json!([0, 1])
    );
    assert_eq!(
        outline["optimizers"][0]["color"], "#0072b2",
        "Adam's colour"
    );
    let curves = served.get(&format!("curves/{problem}")).1;
    let curves: Value = serde_json::from_str(&curves).unwrap();
    assert!(!curves["series"].as_array().unwrap().is_empty(), "{curves}");
    assert_eq!(served.get("curves/2").0, 404);

    // Stopped, it writes the report of what is complete.
    assert_eq!(served.post("stop"), 204);
    assert_eq!(served.post("stop"), 409, "it stops already");
    let stopped = with_phase(&served, "stopped");
    let ended = stopped["ended"].as_u64().unwrap();
    assert!(ended < 10, "{stopped}");
    assert_eq!(stopped["report"], "report/index.html");
    let (status, report) = served.get("report/index.html");
    assert_eq!(status, 200);
    assert!(report.contains("<title>"));
    assert_eq!(results(path, "out").records.len(), ended as usize + 1);

    // Continued, it makes the rest alone.
    assert_eq!(served.post("continue"), 204);
    let done = with_phase(&served, "done");
    let log = done["log"].as_array().unwrap();
    let said = |text: &str| {
        log.iter()
            .any(|line| line["text"].as_str().unwrap().contains(text))
    };
    assert_eq!(done["ended"], 10);
    assert!(said("continued from the page"), "{log:?}");
    assert!(
        ended == 0 || said(&format!("({ended} more are in the store)")),
        "{log:?}"
    );
    assert_eq!(
        (&done["failed"], &done["diverged"]),
        (&0.into(), &2.into()),
        "{done}"
    );
    let trouble = &done["troubles"][0];
    assert_eq!(trouble["outcome"], "diverged");
    assert!(
        trouble["run"]
            .as_str()
            .unwrap()
            .starts_with("slow × sgd × seed"),
        "{trouble}"
    );
    assert!(
        trouble["reason"].as_str().unwrap().starts_with("loss "),
        "{trouble}"
    );
    assert_eq!(done["problems"][0]["ended"], 6);
    assert_eq!((&done["left"], &done["share"]), (&Value::Null, &1.0.into()));
    assert_eq!(served.post("continue"), 409, "nothing is left");
    assert_eq!(served.post("stop"), 409, "nothing is under way");

    let ablation = [
        "ablation",
        "tiny.toml",
        "--out",
        "plain",
        "--store",
        "other",
        "--quiet",
    ];
    assert!(bench_runner(path, &ablation).status().unwrap().success());
    assert_eq!(results(path, "out"), results(path, "plain"));
    assert_eq!(served.interrupt(), Some(0));
}

#[test]
fn ctrl_c_ends_a_sweep_under_way_with_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tiny.toml"), experiment()).unwrap();
    let served = Served::start(path, &["tiny.toml", "--out", "out", "--jobs", "1"]);
    with_phase(&served, "running");
    assert_eq!(served.interrupt(), Some(130));
    assert!(path.join("out/index.html").exists());
}

/// A folder with a report's page, a file beside the folder, and a link to that file inside.
fn report(path: &Path) {
    std::fs::create_dir_all(path.join("out/figures")).unwrap();
    std::fs::write(path.join("out/index.html"), "the report").unwrap();
    std::fs::write(path.join("out/figures/a.svg"), "<svg/>").unwrap();
    std::fs::write(path.join("secret"), "secret").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(path.join("secret"), path.join("out/link")).unwrap();
}

#[test]
fn a_report_is_served_to_those_who_have_the_token_and_asked_for_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    report(path);
    let served = Served::start(path, &["out"]);
    let (port, token) = (served.port, &served.token);
    let host = format!("Host: 127.0.0.1:{port}");
    let page = format!("/{token}/report/index.html");
    assert_eq!(served.get("").0, 307, "it leads to the report");
    assert_eq!(served.get("report/index.html"), (200, "the report".into()));
    assert_eq!(served.get("report/figures/a.svg").0, 200);
    let by_name = format!("Host: localhost:{port}");
    assert_eq!(served.send(&format!("GET {page}"), &[&by_name]).0, 200);

    // Without the token, or with another one, nothing is told apart.
    let other = "0".repeat(32);
    for path in [
        "/",
        "/report/index.html",
        "/state/0",
        "/favicon.ico",
        "//",
        &format!("/{other}/"),
        &format!("/{}/", &token[1..]),
    ] {
        assert_eq!(
            served.send(&format!("GET {path}"), &[&host]).0,
            403,
            "{path}"
        );
    }
    // A control needs it in a header, too.
    for control in ["stop", "continue"] {
        let line = format!("POST /{token}/{control}");
        let without = [host.as_str(), "Content-Length: 0"];
        assert_eq!(served.send(&line, &without).0, 403, "{control}");
        let wrong = [
            host.as_str(),
            "Content-Length: 0",
            &format!("X-Token: {other}"),
        ];
        assert_eq!(served.send(&line, &wrong).0, 403, "{control}");
        assert_eq!(served.get(control).0, 405, "{control} by GET");
        assert_eq!(served.post(control), 409, "{control} without a sweep");
    }
    // A site whose name points here asks for that name.
    let foreign = [
        "example.org".to_owned(),
        format!("example.org:{port}"),
        format!("127.0.0.1:{}", port ^ 1),
        "127.0.0.1".into(),
        format!("127.0.0.1:{port}.example.org"),
    ];
    for name in foreign {
        let line = format!("GET {page}");
        assert_eq!(
            served.send(&line, &[&format!("Host: {name}")]).0,
            403,
            "{name}"
        );
    }
    // Other machines have no way here: on Linux all of 127/8 is this one, and only what listens everywhere answers.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    assert_eq!(served.interrupt(), Some(0));
}

#[test]
fn nothing_outside_of_the_reports_folder_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    report(path);
    let served = Served::start(path, &["out"]);
    let absolute = path.join("secret").display().to_string();
    let outside = [
        "../secret".to_owned(),
        "%2e%2e/secret".into(),
        "..%2fsecret".into(),
        "figures/../../secret".into(),
        "figures/%2e%2e/%2e%2e/secret".into(),
        "..%5csecret".into(),
        "link".into(),
        absolute.clone(),
        absolute.replace('/', "%2f"),
        format!("/{absolute}"),
        "%00".into(),
        "figures".into(),
        "..".into(),
    ];
    for name in outside {
        let (status, body) = served.get(&format!("report/{name}"));
        assert_eq!(status, 404, "{name}: {body}");
        assert!(!body.contains("secret"), "{name}: {body}");
    }
    // Inside, a detour is one way among others.
    assert_eq!(served.get("report/figures/../index.html").0, 200);
}

#[test]
fn what_cannot_be_served_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("empty")).unwrap();
    report(path);
    std::fs::write(path.join("tiny.toml"), experiment()).unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["serve", "empty"], 4, "index.html"),
        (
            &["serve", "out", "--seeds", "3"],
            2,
            "the folder of a report",
        ),
        (&["serve", "quik"], 2, "did you mean `quick`?"),
        (
            &["serve", "tiny.toml", "--port", &port],
            2,
            "0 takes any that is free",
        ),
        (
            &["serve", "tiny.toml", "--device", "tpu"],
            5,
            "cpu, cuda[:N] and metal[:N]",
        ),
        (
            &["serve", "tiny.toml", "--out", "tiny.toml"],
            4,
            "tiny.toml",
        ),
    ];
    for (arguments, code, reason) in cases {
        let output = bench_runner(path, arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
}

#[test]
fn a_run_under_way_counts_as_far_as_it_got() {
    let mut results = synthetic::results(2);
    let losses = |index: usize, results: &bench_experiment::store::Results| {
        let curve = &results.records[index].curve;
        [curve[0].loss, curve[curve.len() - 1].loss]
    };
    // The first two records are the seeds of one optimizer on one problem; the second of them is under way.
    let [first, last] = losses(0, &results);
    let run = &mut results.records[1];
    run.outcome = Outcome::Interrupted;
    run.curve.truncate(2);
    let began = run.curve[0].loss;
    let curves = live::curves(&results, 0).unwrap();
    let series = &curves["series"][0];
    assert_eq!(series["runs"], 2);
    let medians = series["median"].as_array().unwrap();
    let close = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!(
            (found / expected - 1.0).abs() < 1e-3,
            "{found}, expected {expected}"
        );
    };
    close(&medians[0], 0.5 * (first + began));
    close(&medians[medians.len() - 1], last);

    // What every table counts as diverged is listed, though the run was completed.
    assert_eq!(live::trouble(&results.records[0]), None);
    let run = &mut results.records[0];
    assert!(matches!(run.outcome, Outcome::Completed { .. }));
    let end = run.curve.len() - 1;
    run.curve[end].loss = 2.0 * first;
    let trouble = live::trouble(run).unwrap();
    assert_eq!(trouble.outcome, "diverged");
    assert!(trouble.reason.contains("above its start"), "{trouble:?}");
}
