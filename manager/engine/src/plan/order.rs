//! Cycles: a step that can only start after itself.
//!
//! Each step has two moments, its start and its end. An edge says that one moment cannot come before another: because of
//! the sequence, because a join waits for it, or because an input uses it. Moments that lie on a cycle never come, or
//! come with inputs that are not there yet: such a definition is refused. One pass over all steps and edges.

use super::{Compiler, Kind, NodeId, check};

/// Why one step needs another.
struct Need {
    /// Who needs it.
    by: NodeId,
    /// What is needed.
    of: NodeId,
    /// A join waits for it; else an expression uses it.
    joins: bool,
}

/// Reports every need that lies on a cycle. Joins are looked at alone first: an input that uses a join's output would make
/// what the join waits for look guilty too.
pub(super) fn check(compiler: &mut Compiler) {
    let (joins, inputs): (Vec<Need>, Vec<Need>) = needs(compiler).into_iter().partition(|need| need.joins);
    let mut after = vec![Vec::new(); compiler.nodes.len() * 2];
    sequence_edges(compiler, &mut after);
    let faults = add(compiler, &mut after, joins);
    let faults = if faults.is_empty() { add(compiler, &mut after, inputs) } else { faults };
    for need in faults {
        report(compiler, &need);
    }
}

/// Adds edges for needs; gives those that lie on a cycle.
fn add(compiler: &Compiler, after: &mut [Vec<usize>], needs: Vec<Need>) -> Vec<Need> {
    let edge = |need: &Need| {
        if need.joins { (end(need.of), end(need.by)) } else { (available(compiler, need.of), start(need.by)) }
    };
    for need in &needs {
        let (from, to) = edge(need);
        after[from].push(to);
    }
    let component = components(after);
    let cyclic = |need: &Need| {
        let (from, to) = edge(need);
        need.by == need.of || component[from] == component[to]
    };
    needs.into_iter().filter(cyclic).collect()
}

fn report(compiler: &mut Compiler, need: &Need) {
    let (by, of) = (&compiler.nodes[need.by.0 as usize].reference, &compiler.nodes[need.of.0 as usize].reference);
    let message = match (need.joins, need.by == need.of) {
        (true, true) => "cycle of references: the join waits for itself".to_owned(),
        (true, false) => format!("cycle of references: the join waits for `{of}`, which cannot end before `{by}` has"),
        (false, true) => format!("cycle of references: `{by}` uses itself as its input"),
        (false, false) => format!("cycle of references: `{by}` uses `{of}`, which cannot end before `{by}` has started"),
    };
    let field = if need.joins { "joinOn" } else { "inputParameters" };
    let of = of.to_string();
    compiler.fault(format!("{}.{field}", compiler.node_path(need.by)), message, Some(of));
}

fn needs(compiler: &Compiler) -> Vec<Need> {
    let mut needs = Vec::new();
    for (index, node) in compiler.nodes.iter().enumerate() {
        let by = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
        let mut add = |root: &str, _: &dyn Fn() -> String| {
            if let Some(of) = compiler.find(root).filter(|of| !same_loop(compiler, by, *of)) {
                needs.push(Need { by, of, joins: false });
            }
        };
        node.input.visit_roots(&mut add);
        for (_, template) in node.agent.iter().flat_map(|agent| check::agent_texts(agent)) {
            template.visit_roots(&mut add);
        }
        for (_, template) in &node.texts {
            template.visit_roots(&mut add);
        }
        // An exclusive join needs one of several, which is no cycle by itself: it waits for what was scheduled.
        if let Kind::Join { waits_for, .. } = &node.kind {
            needs.extend(waits_for.iter().map(|of| Need { by, of: *of, joins: true }));
        }
    }
    needs
}

/// Whether two steps are in a loop together: then one may use what the other came to in the round before.
fn same_loop(compiler: &Compiler, a: NodeId, b: NodeId) -> bool {
    let loops = |id: NodeId| compiler.nodes[id.0 as usize].loops.first().copied();
    loops(a).is_some() && loops(a) == loops(b)
}

/// The edges of the sequence itself, which never make a cycle.
fn sequence_edges(compiler: &Compiler, after: &mut [Vec<usize>]) {
    for (index, node) in compiler.nodes.iter().enumerate() {
        let id = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
        after[start(id)].push(end(id));
        if let Some(next) = compiler.blocks[node.block.0 as usize].nodes.get(node.position as usize + 1) {
            after[end(id)].push(start(*next));
        }
    }
    for block in &compiler.blocks {
        let (Some(parent), Some(first), Some(last)) = (block.parent, block.nodes.first(), block.nodes.last()) else {
            continue;
        };
        after[start(parent)].push(start(*first));
        if let Kind::Switch { .. } | Kind::Loop { .. } = compiler.nodes[parent.0 as usize].kind {
            after[end(*last)].push(end(parent));
        }
    }
}

fn start(id: NodeId) -> usize {
    id.0 as usize * 2
}

fn end(id: NodeId) -> usize {
    id.0 as usize * 2 + 1
}

/// The moment from which a step's output can be used: forks and switches give theirs at once, loops show how far they are.
fn available(compiler: &Compiler, id: NodeId) -> usize {
    match compiler.nodes[id.0 as usize].kind {
        Kind::Fork { .. } | Kind::DynamicFork | Kind::Switch { .. } | Kind::Loop { .. } => start(id),
        Kind::Leaf | Kind::Join { .. } | Kind::ExclusiveJoin { .. } => end(id),
    }
}

/// For each vertex the number of its strongly connected component (Tarjan's algorithm, without recursion).
fn components(after: &[Vec<usize>]) -> Vec<usize> {
    const NEW: usize = usize::MAX;
    let mut order = vec![NEW; after.len()];
    let mut low = vec![0; after.len()];
    let mut component = vec![NEW; after.len()];
    let (mut next_order, mut next_component) = (0, 0);
    let mut stack = Vec::new();
    let mut visits: Vec<(usize, usize)> = Vec::new();
    for root in 0..after.len() {
        if order[root] != NEW {
            continue;
        }
        visits.push((root, 0));
        while let Some((vertex, edge)) = visits.pop() {
            if edge == 0 {
                order[vertex] = next_order;
                low[vertex] = next_order;
                next_order += 1;
                stack.push(vertex);
            }
            match after[vertex].get(edge) {
                Some(&to) if order[to] == NEW => {
                    visits.push((vertex, edge + 1));
                    visits.push((to, 0));
                }
                Some(&to) => {
                    if component[to] == NEW {
                        low[vertex] = low[vertex].min(order[to]);
                    }
                    visits.push((vertex, edge + 1));
                }
                None => {
                    if low[vertex] == order[vertex] {
                        while let Some(member) = stack.pop() {
                            component[member] = next_component;
                            if member == vertex {
                                break;
                            }
                        }
                        next_component += 1;
                    }
                    if let Some((parent, _)) = visits.last() {
                        low[*parent] = low[*parent].min(low[vertex]);
                    }
                }
            }
        }
    }
    component
}
