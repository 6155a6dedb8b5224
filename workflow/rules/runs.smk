rule runs:
    input:
        rules.meta_optima.input,
        plan.all_run_files(),


rule train_policy:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
        meta_optimum=plan.meta_optimum_of,
    output:
        "results/runs/{case}/{setting}/seed-{seed}.nc",
    log:
        "results/logs/runs/{case}/{setting}/seed-{seed}.log",
    benchmark:
        "results/timings/runs/{case}/{setting}/seed-{seed}.tsv"
    # Long runs first, so that the last one does not keep all other cores waiting.
    priority: plan.priority
    conda:
        "../../envs/compute.yaml"
    threads: plan.threads
    resources:
        mem_mb=plan.run_memory,
        runtime=plan.run_minutes,
    params:
        settings=plan.settings,
        # No output: Snakemake removes the outputs of a job before it starts it again.
        checkpoint="results/checkpoints/{case}.{setting}.seed-{seed}.nc",
        sources=sources.of("train_policy"),
        versions=sources.versions("compute"),
    script:
        "../scripts/train_policy.py"
