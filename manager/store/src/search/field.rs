//! What can be searched by.

use std::fmt::Debug;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// An id.
    Id,
    /// A whole number.
    Number,
    /// A moment.
    Time,
    /// A workflow's status.
    WorkflowStatus,
    /// A task's status.
    TaskStatus,
}

/// A field that searches know.
pub trait Field: Copy + Debug + PartialEq + 'static {
    /// What is searched, in words: "workflows".
    const OF: &'static str;
    /// All fields.
    const ALL: &'static [Self];
    /// Its name.
    fn name(self) -> &'static str;
    /// Another name that clients use for it.
    fn alias(self) -> Option<&'static str>;
    /// What it holds.
    fn kind(self) -> Kind;

    /// The field with a name, in any case.
    fn named(name: &str) -> Option<Self> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        Self::ALL.iter().copied().find(|field| is(field.name()) || field.alias().is_some_and(is))
    }

    /// The names of all fields, for messages.
    fn names() -> String {
        Self::ALL.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
    }
}

macro_rules! fields {
    ($(#[$doc:meta])* $type:ident, $of:literal { $($variant:ident: $name:literal $(/ $alias:literal)?, $kind:ident;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is the field of its name")]
        pub enum $type { $($variant),+ }

        impl Field for $type {
            const OF: &'static str = $of;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn alias(self) -> Option<&'static str> {
                match self { $(Self::$variant => fields!(@alias $($alias)?)),+ }
            }

            fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),+ }
            }
        }
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
}

fields! {
    /// Fields of workflows.
    WorkflowField, "workflows" {
        WorkflowId: "workflowId", Id;
        WorkflowType: "workflowType" / "workflowName", Text;
        Version: "version" / "workflowVersion", Number;
        Status: "status", WorkflowStatus;
        CorrelationId: "correlationId", Text;
        StartTime: "startTime" / "createTime", Time;
        UpdateTime: "updateTime", Time;
        EndTime: "endTime", Time;
        ExecutionTime: "executionTime", Number;
        ParentWorkflowId: "parentWorkflowId", Id;
        IdempotencyKey: "idempotencyKey", Text;
        Priority: "priority", Number;
        CreatedBy: "createdBy", Text;
        Reason: "reasonForIncompletion", Text;
    }
}

fields! {
    /// Fields of tasks, some of them those of their workflow.
    TaskField, "tasks" {
        TaskId: "taskId", Id;
        WorkflowId: "workflowId" / "workflowInstanceId", Id;
        WorkflowType: "workflowType" / "workflowName", Text;
        CorrelationId: "correlationId", Text;
        TaskType: "taskType", Text;
        TaskDefName: "taskDefName" / "taskDefinitionName", Text;
        ReferenceTaskName: "referenceTaskName" / "taskRefName", Text;
        Status: "status", TaskStatus;
        ScheduledTime: "scheduledTime", Time;
        StartTime: "startTime", Time;
        UpdateTime: "updateTime", Time;
        EndTime: "endTime", Time;
        WorkerId: "workerId", Text;
        Domain: "domain" / "taskDomain", Text;
        Priority: "workflowPriority" / "priority", Number;
        Reason: "reasonForIncompletion", Text;
    }
}
