//! The program from the outside: calls, and what they leave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use bench_experiment::store::{Results, read};

/// A problem of an experiment file: a network whose runs are over in no time.
pub const MLP: &str = r#"
[[problem]]
label = "mlp"
kind = "classification"
data = "digits"
batch_size = 64
budget = 12
points = 3
measure_train = 128
model = { kind = "mlp", inputs = 64, hidden = [16], classes = 10 }
"#;

/// A call in a folder, with a cache for data of its own there.
pub fn bench_runner(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("HF_HOME", folder.join("hub"));
    command
}

/// The results in a report's folder, without times.
pub fn results(folder: &Path, report: &str) -> Results {
    let mut results = read(&folder.join(report).join("results.parquet")).unwrap();
    for record in &mut results.records {
        *record = record.without_times();
    }
    results
}

/// A call of `serve` that is under way; killed when it is dropped.
pub struct Served {
    child: Child,
    /// Open, so that the program can go on writing.
    _output: BufReader<ChildStdout>,
    pub address: String,
    pub port: u16,
    pub token: String,
}

impl Served {
    /// Calls `serve` in a folder, and waits for the address.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = bench_runner(folder, &[&["serve"], arguments].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line}"));
        let parts: Vec<&str> = address.split(['/', ':']).collect();
        let ["http", "", "", "127.0.0.1", port, token, ""] = parts[..] else {
            panic!("{line}");
        };
        assert_eq!(token.len(), 32);
        Self {
            child,
            _output: output,
            address: address.into(),
            port: port.parse().unwrap(),
            token: token.into(),
        }
    }

    /// The status and the body of the answer to a request, which is sent as it stands.
    pub fn send(&self, line: &str, headers: &[&str]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let headers = [headers, &["Connection: close", "", ""]].concat();
        let request = format!("{line} HTTP/1.1\r\n{}", headers.join("\r\n"));
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// The answer to a request for what is below the page's address.
    pub fn get(&self, path: &str) -> (u16, String) {
        let line = format!("GET /{}/{path}", self.token);
        self.send(&line, &[&format!("Host: 127.0.0.1:{}", self.port)])
    }

    /// Presses a button.
    pub fn post(&self, control: &str) -> u16 {
        let host = format!("Host: 127.0.0.1:{}", self.port);
        let token = format!("X-Token: {}", self.token);
        let headers = [host.as_str(), &token, "Content-Length: 0"];
        self.send(&format!("POST /{}/{control}", self.token), &headers)
            .0
    }

    /// Presses Ctrl-C, and returns the exit code.
    pub fn interrupt(mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        Command::new("kill")
            .args(["-INT", &process])
            .status()
            .unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, or ends here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
