//! The page over HTTP, on this machine alone. Whoever asks must know the token in the address, which other users'
//! programs and other sites' pages do not, and must have asked for this machine by its name: a site whose name
//! was made to point here is refused.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path as File, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bench_report::live;

use super::watch::Watch;
use crate::error::{Error, Result};

/// The header in which a control needs the token again: no other site can have a browser send it.
const TOKEN: HeaderName = HeaderName::from_static("x-token");

/// Headers of all answers: the address, which has the token in it, stays here, and a page loads nothing from
/// elsewhere and is shown in no other.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// What is served, and to whom.
struct Site {
    hosts: [String; 2],
    token: String,
    /// The report's folder.
    folder: PathBuf,
    /// The sweep that is under way, if one is.
    watch: Option<Arc<Watch>>,
}

/// Serves a report's folder, and the page of a sweep if there is one, from now on; returns the address.
///
/// # Errors
/// When the port cannot be had, or no thread.
pub fn start(port: u16, folder: &File, watch: Option<Arc<Watch>>) -> Result<String> {
    let refused = |source: std::io::Error| Error::Flag {
        flag: "port".into(),
        value: port.to_string(),
        reason: format!("cannot be listened on: {source}; 0 takes any that is free"),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(refused)?;
    let port = listener.local_addr().map_err(refused)?.port();
    listener.set_nonblocking(true).map_err(refused)?;
    let secret: [u8; 16] = rand::random();
    let token: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let site = Arc::new(Site {
        hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
        token: token.clone(),
        folder: folder.into(),
        watch,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(refused)?;
    let serving = move || {
        let served: std::io::Result<()> = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, router(site)).await
        });
        if let Err(error) = served {
            eprintln!("the page is no longer served: {error}");
        }
    };
    let thread = std::thread::Builder::new().name("page".into());
    thread.spawn(serving).map_err(refused)?;
    Ok(format!("http://127.0.0.1:{port}/{token}/"))
}

fn router(site: Arc<Site>) -> Router {
    let at = |path: &str| format!("/{}/{path}", site.token);
    Router::new()
        .route(&at(""), get(page))
        .route(&at("outline"), get(outline))
        .route(&at("state/{after}"), get(state))
        .route(&at("curves/{problem}"), get(curves))
        .route(&at("stop"), post(stop))
        .route(&at("continue"), post(resume))
        .route(&at("report/{*file}"), get(file))
        .layer(from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

/// Refuses who may not ask, and gives all answers their headers.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut answer = match site.refusal(&request) {
        Some(reason) => (StatusCode::FORBIDDEN, reason).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

impl Site {
    /// Why a request is refused.
    fn refusal(&self, request: &Request) -> Option<&'static str> {
        let header = |name: HeaderName| {
            let value = request.headers().get(name);
            value.and_then(|value| value.to_str().ok())
        };
        let is_ours = |host: &str| self.hosts.iter().any(|own| own == host);
        if !header(header::HOST).is_some_and(is_ours) {
            return Some("this machine was asked for by another name");
        }
        if request.uri().path().split('/').nth(1) != Some(&self.token) {
            return Some("the address lacks the token that bench-runner printed");
        }
        if request.method() == Method::POST && header(TOKEN) != Some(&self.token) {
            return Some("a control needs the token in the header X-Token");
        }
        None
    }

    /// A file of the report's folder; `None` where there is none, or a link leads elsewhere.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let folder = self.folder.canonicalize().ok()?;
        let file = folder.join(name).canonicalize().ok()?;
        (file.starts_with(&folder) && file.is_file()).then_some(file)
    }
}

fn json(text: Option<String>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    text.map_or(StatusCode::NOT_FOUND.into_response(), |text| {
        (kind, text).into_response()
    })
}

async fn page(State(site): State<Arc<Site>>) -> Response {
    if site.watch.is_none() {
        return Redirect::temporary("report/index.html").into_response();
    }
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    match live::page() {
        Ok(page) => (kind, page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn outline(State(site): State<Arc<Site>>) -> Response {
    json(site.watch.as_ref().and_then(|watch| watch.outline()))
}

async fn state(State(site): State<Arc<Site>>, Path(after): Path<u64>) -> Response {
    json(site.watch.as_ref().map(|watch| watch.state(after)))
}

async fn curves(State(site): State<Arc<Site>>, Path(problem): Path<usize>) -> Response {
    json(site.watch.as_ref().and_then(|watch| watch.curves(problem)))
}

async fn stop(State(site): State<Arc<Site>>) -> Response {
    done(site.watch.as_ref().is_some_and(|watch| watch.stop()))
}

async fn resume(State(site): State<Arc<Site>>) -> Response {
    done(site.watch.as_ref().is_some_and(|watch| watch.resume()))
}

/// The answer to a control.
fn done(is_done: bool) -> Response {
    match is_done {
        true => StatusCode::NO_CONTENT.into_response(),
        false => (StatusCode::CONFLICT, "not now").into_response(),
    }
}

async fn file(State(site): State<Arc<Site>>, Path(name): Path<String>) -> Response {
    let file = site.file(&name);
    let Some((file, bytes)) = file.and_then(|file| std::fs::read(&file).ok().map(|it| (file, it)))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let extension = file.extension().and_then(|extension| extension.to_str());
    let kind = match extension.unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "csv" | "md" | "tex" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}
