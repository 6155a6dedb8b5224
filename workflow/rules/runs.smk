rule runs:
    input:
        rules.tasks.input,
        plan.all_tuned_files(),
        plan.all_run_files(),


# A target rule for these files alone.
rule tuned:
    input:
        rules.tasks.input,
        plan.all_tuned_files(),


# Chooses settings of a run from a grid. Only runs with a block `tune` wait for it.
rule tune:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
    output:
        "results/tuned/{case}/{configuration}.nc",
    log:
        "results/logs/tuned/{case}/{configuration}.log",
    benchmark:
        "results/timings/tuned/{case}/{configuration}.tsv"
    priority: plan.priority("tune")
    conda:
        "../../envs/compute.yaml"
    threads: plan.checked.execution.threads
    resources:
        **plan.resources("tune"),
    params:
        **sources.params("compute", "tune", plan.run_plugins),
        settings=plan.settings,
    script:
        "../scripts/tune.py"


rule train_policy:
    input:
        tasks="results/tasks/{case}.nc",
        tuned=plan.tuned_file,
    output:
        "results/runs/{case}/{configuration}/seed-{seed}.nc",
    log:
        "results/logs/runs/{case}/{configuration}/seed-{seed}.log",
    benchmark:
        "results/timings/runs/{case}/{configuration}/seed-{seed}.tsv"
    # Long runs first, so that the last one does not keep all other cores waiting.
    priority: quick(plan.priority("train_policy"))
    conda:
        "../../envs/compute.yaml"
    threads: plan.checked.execution.threads
    resources:
        **plan.resources("train_policy"),
    params:
        **sources.params("compute", "train_policy", plan.run_plugins),
        # Without those at their defaults, so that a new setting reruns nothing.
        settings=quick(plan.settings),
        # Not an output: Snakemake removes the outputs of a job before it reruns it.
        saved_state=quick(saved_state),
    script:
        "../scripts/train_policy.py"
