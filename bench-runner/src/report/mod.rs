//! What people read: the HTML report, Markdown and tables.
