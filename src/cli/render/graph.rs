//! Who depends on whom, in four forms.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    cli::paint::{Paint, Tone},
    model::{
        ids::ServiceName,
        project::ProjectSpec,
        service::{Dependency, ServiceSpec},
    },
};

/// For people: whoever nobody depends on, and below each what it needs. What was shown before is only named again.
#[must_use]
pub fn tree(project: &ProjectSpec, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.text(Tone::Strong, project.name.as_str()));
    let roots: Vec<&ServiceSpec> = project.services.iter().map(AsRef::as_ref).filter(|s| is_root(project, s)).collect();
    let mut walk = Walk { project, paint, seen: Vec::new(), text: &mut text };
    for (index, root) in roots.iter().enumerate() {
        walk.branch(root, None, "", index + 1 == roots.len());
    }
    text
}

fn is_root(project: &ProjectSpec, service: &ServiceSpec) -> bool {
    !project.services.iter().any(|other| other.depends_on.contains_key(&service.id.service))
}

struct Walk<'a> {
    project: &'a ProjectSpec,
    paint: Paint,
    seen: Vec<ServiceName>,
    text: &'a mut String,
}

impl Walk<'_> {
    fn branch(&mut self, service: &ServiceSpec, edge: Option<&Dependency>, indent: &str, last: bool) {
        let name = &service.id.service;
        let again = self.seen.contains(name);
        self.text.push_str(indent);
        self.text.push_str(if last { "└─ " } else { "├─ " });
        self.text.push_str(name.as_str());
        if let Some(edge) = edge {
            self.text.push_str(&self.paint.text(Tone::Dim, &format!(" ({})", label(*edge))));
        }
        if again && !service.depends_on.is_empty() {
            self.text.push_str(&self.paint.text(Tone::Dim, " … as above"));
        }
        self.text.push('\n');
        if again {
            return;
        }
        self.seen.push(name.clone());
        let indent = format!("{indent}{}", if last { "   " } else { "│  " });
        let count = service.depends_on.len();
        for (index, (name, edge)) in service.depends_on.iter().enumerate() {
            // A loaded project's dependencies exist.
            if let Some(dependency) = self.project.service(name) {
                self.branch(&dependency.clone(), Some(edge), &indent, index + 1 == count);
            }
        }
    }
}

/// `service_healthy`, `service_started, optional, restarts`.
fn label(edge: Dependency) -> String {
    let mut label = edge.condition.label().to_owned();
    if !edge.required {
        label.push_str(", optional");
    }
    if edge.restart {
        label.push_str(", restarts with it");
    }
    label
}

fn edges(project: &ProjectSpec) -> impl Iterator<Item = (&ServiceName, &ServiceName, &Dependency)> {
    project
        .services
        .iter()
        .flat_map(|service| service.depends_on.iter().map(|(dependency, edge)| (&service.id.service, dependency, edge)))
}

/// A mermaid flowchart. Nodes are numbered, since names may be words of its grammar (`end`).
#[must_use]
pub fn mermaid(project: &ProjectSpec) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let number = |name: &ServiceName| project.services.iter().position(|s| s.id.service == *name).unwrap_or_default();
    for (index, service) in project.services.iter().enumerate() {
        let _infallible = writeln!(text, "    s{index}[\"{}\"]", service.id.service);
    }
    for (from, to, edge) in edges(project) {
        let arrow = if edge.required { "-->" } else { "-.->" };
        let _infallible = writeln!(text, "    s{} {arrow}|{}| s{}", number(from), edge.condition.label(), number(to));
    }
    text
}

/// A Graphviz digraph.
#[must_use]
pub fn dot(project: &ProjectSpec) -> String {
    let mut text = format!("digraph \"{}\" {{\n    rankdir=LR;\n    node [shape=box];\n", project.name);
    for service in &project.services {
        let _infallible = writeln!(text, "    \"{}\";", service.id.service);
    }
    for (from, to, edge) in edges(project) {
        let style = if edge.required { "" } else { ", style=dashed" };
        let _infallible = writeln!(text, "    \"{from}\" -> \"{to}\" [label=\"{}\"{style}];", edge.condition.label());
    }
    text.push_str("}\n");
    text
}

/// `{"project", "services": [name…], "edges": [{from, to, condition, required, restart}]}`; `from` depends on `to`.
#[must_use]
pub fn document(project: &ProjectSpec) -> Value {
    let services: Vec<&ServiceName> = project.services.iter().map(|service| &service.id.service).collect();
    let edges: Vec<Value> = edges(project)
        .map(|(from, to, edge)| {
            json!({
                "from": from,
                "to": to,
                "condition": edge.condition.label(),
                "required": edge.required,
                "restart": edge.restart,
            })
        })
        .collect();
    json!({ "project": project.name, "services": services, "edges": edges })
}
