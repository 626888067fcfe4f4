//! What all pages share: their style, and how a template is filled in.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};
use serde::Serialize;

use crate::error::Result;

pub(super) const STYLE: &str = include_str!("../templates/report.css");

/// The template, called `name` in errors, filled in with `page`; text is escaped.
pub(super) fn render(name: &str, template: &str, page: &impl Serialize) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    Ok(environment.render_named_str(name, template, Value::from(Serde(page)))?)
}
