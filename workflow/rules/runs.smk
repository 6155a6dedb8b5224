rule runs:
    input:
        rules.tasks.input,
        plan.all_run_files(),


rule train_policy:
    input:
        tasks="results/tasks/{case}.nc",
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
    threads: plan.threads
    resources:
        **plan.resources("train_policy"),
    params:
        # Without those at their defaults, so that a new setting starts nothing again.
        settings=quick(plan.settings),
        # No output: Snakemake removes the outputs of a job before it starts it again.
        saved_state="results/checkpoints/{case}.{configuration}.seed-{seed}.nc",
        sources=quick(
            lambda wildcards: sources.of("train_policy", plan.run_plugins(wildcards))
        ),
        versions=sources.versions("compute"),
    script:
        "../scripts/train_policy.py"
