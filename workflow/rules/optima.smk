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
