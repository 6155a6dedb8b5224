rule optima:
    input:
        rules.tasks.input,
        expand("results/optima/{case}.nc", case=plan.cases),


rule solve_optima:
    input:
        tasks="results/tasks/{case}.nc",
    output:
        "results/optima/{case}.nc",
    log:
        "results/logs/optima/{case}.log",
    benchmark:
        "results/timings/optima/{case}.tsv"
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=plan.optima_memory,
        runtime=plan.optima_minutes,
    params:
        initial_gain=plan.initial_gain,
        sources=sources.of("solve_optima"),
        versions=sources.versions("compute"),
    script:
        "../scripts/solve_optima.py"


rule meta_optima:
    input:
        rules.optima.input,
        plan.meta_optimum_files,


# One file for each adaptation rate, so that another rate in a sweep starts no other run again.
rule solve_meta_optimum:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
    output:
        "results/optima/{case}/adaptation_rate-{rate}.nc",
    log:
        "results/logs/optima/{case}/adaptation_rate-{rate}.log",
    benchmark:
        "results/timings/optima/{case}/adaptation_rate-{rate}.tsv"
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=plan.meta_optimum_memory,
        runtime=plan.meta_optimum_minutes,
    params:
        sources=sources.of("solve_meta_optimum"),
        versions=sources.versions("compute"),
    script:
        "../scripts/solve_meta_optimum.py"
