rule evaluation:
    input:
        rules.tasks.input,
        rules.optima.input if plan.evaluation.files else [],
        plan.evaluation.inputs,
        plan.evaluation.files,
        rules.meta_benefit.input if plan.benefit.files else [],
        plan.figures.files("evaluation"),
        plan.tables.files("evaluation"),


# Tasks that no training sees: those by which step sizes are chosen, and those that are reported.
rule draw_unseen_tasks:
    input:
        plan.evaluation.unseen_inputs,
    output:
        "results/evaluation/{case}/{pool}.nc",
    log:
        "results/logs/evaluation/{case}/{pool}.log",
    benchmark:
        "results/timings/evaluation/{case}/{pool}.tsv"
    wildcard_constraints:
        pool="validation|test",
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("draw_unseen_tasks"),
    params:
        **sources.params("compute", "draw_unseen_tasks", plan.unseen_plugins),
        case=plan.task_block,
        unseen=plan.evaluation.unseen,
    script:
        "../scripts/draw_unseen_tasks.py"


# One job for the runs of a configuration, and one for what they are compared with, so that a kill loses little.
rule evaluate_trained:
    input:
        tasks="results/tasks/{case}.nc",
        validation="results/evaluation/{case}/validation.nc",
        test="results/evaluation/{case}/test.nc",
        runs=plan.evaluation.runs_of,
    output:
        "results/evaluation/{experiment}/{case}/{configuration}.nc",
    log:
        "results/logs/evaluation/{experiment}/{case}/{configuration}.log",
    benchmark:
        "results/timings/evaluation/{experiment}/{case}/{configuration}.tsv"
    priority: plan.priority("evaluate_trained")
    conda:
        "../../envs/compute.yaml"
    threads: plan.checked.execution.threads
    resources:
        **plan.resources("evaluate_trained"),
    params:
        **sources.params("compute", "evaluate_trained", plan.evaluation.plugins),
        protocol=plan.evaluation.protocol,
        estimates=plan.evaluation.estimates,
        run=plan.evaluation.stated,
    script:
        "../scripts/evaluate_trained.py"


rule evaluate_comparators:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
        meta_optimum=plan.evaluation.meta_optimum,
        validation="results/evaluation/{case}/validation.nc",
        test="results/evaluation/{case}/test.nc",
    output:
        "results/evaluation/{case}/comparators-{rate}.nc",
    log:
        "results/logs/evaluation/{case}/comparators-{rate}.log",
    benchmark:
        "results/timings/evaluation/{case}/comparators-{rate}.tsv"
    priority: plan.priority("evaluate_comparators")
    conda:
        "../../envs/compute.yaml"
    threads: plan.checked.execution.threads
    resources:
        **plan.resources("evaluate_comparators"),
    params:
        **sources.params("compute", "evaluate_comparators", plan.evaluation.plugins),
        protocol=plan.evaluation.protocol,
        estimates=plan.evaluation.estimates,
        comparators=plan.evaluation.comparators,
        exploration=plan.checked.evaluation.exploration,
    script:
        "../scripts/evaluate_comparators.py"


rule join_evaluation:
    input:
        trained=plan.evaluation.parts_of,
        comparators=plan.evaluation.comparators_of,
    output:
        "results/evaluation/{experiment}.{case}.nc",
    log:
        "results/logs/evaluation/{experiment}.{case}.log",
    benchmark:
        "results/timings/evaluation/{experiment}.{case}.tsv"
    # Takes seconds, so even with a cluster profile it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("join_evaluation"),
    params:
        **sources.params("compute", "join_evaluation"),
        names=plan.evaluation.names,
    script:
        "../scripts/join_evaluation.py"
