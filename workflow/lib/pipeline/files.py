"""The names of the files that one stage makes and another reads."""

OPTIMA_FILE = "results/optima/{case}.nc"
META_OPTIMUM_FILE = "results/optima/{case}/adaptation_rate-{rate}.nc"
RUN_FILE = "results/runs/{case}/{setting}/seed-{seed}.nc"
#: Of a figure.
FIGURE_FORMATS = ("pdf", "svg", "png")
#: Of a table.
TABLE_FORMATS = ("md", "csv")
