//! The types of steps (Conductor API: TaskType).

use crate::status::wire_enum;

wire_enum! {
    /// What a step is. The engine has one file per type.
    #[derive(Default)]
    TaskType, "task type" {
        /// Work for a worker or an agent.
        #[default]
        Simple = "SIMPLE",
        /// Work for a worker or an agent whose name is found when the step is reached.
        Dynamic = "DYNAMIC",
        /// Takes one of several ways, by a value or a script.
        Switch = "SWITCH",
        /// The older SWITCH.
        Decision = "DECISION",
        /// Starts its branches in parallel.
        ForkJoin = "FORK_JOIN",
        /// Starts branches that are found when the step is reached.
        ForkJoinDynamic = "FORK_JOIN_DYNAMIC",
        /// Waits for branches.
        Join = "JOIN",
        /// Waits for the first of several steps.
        ExclusiveJoin = "EXCLUSIVE_JOIN",
        /// Repeats its steps.
        DoWhile = "DO_WHILE",
        /// Runs another workflow and waits for it.
        SubWorkflow = "SUB_WORKFLOW",
        /// Starts another workflow and does not wait.
        StartWorkflow = "START_WORKFLOW",
        /// Publishes a message.
        Event = "EVENT",
        /// Sends an HTTP request.
        Http = "HTTP",
        /// Evaluates a script.
        Inline = "INLINE",
        /// The older INLINE.
        Lambda = "LAMBDA",
        /// Transforms JSON by a jq program.
        JsonJqTransform = "JSON_JQ_TRANSFORM",
        /// Sets variables of the workflow.
        SetVariable = "SET_VARIABLE",
        /// Ends the workflow.
        Terminate = "TERMINATE",
        /// Waits for a moment or a signal.
        Wait = "WAIT",
        /// Waits for a person.
        Human = "HUMAN",
        /// Does nothing.
        Noop = "NOOP",
        /// Publishes to Kafka. Refused at registration: this program has no Kafka client.
        KafkaPublish = "KAFKA_PUBLISH",
    }
}
