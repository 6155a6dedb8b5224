#!/bin/sh
# The state of one job of Slurm in a word that Snakemake knows: running, success or failed.
# Any answer but `running` is final. So a job that Slurm has forgotten, which it does MinJobAge (300 s) after the end, is failed
# where no database knows better: ask more often than that.

answer=$(LC_ALL=C squeue --jobs="$1" --states=all --noheader --format=%T 2>&1) || case $answer in
*"Invalid job id"*) answer=FORGOTTEN ;; # ended longer ago than MinJobAge
*) answer=UNREACHABLE ;;                # the controller is busy or restarts: ask again later
esac
# With accounting the database knows what the controller has forgotten.
if [ "${answer:-FORGOTTEN}" = FORGOTTEN ]; then
    answer=$(sacct --jobs="$1" --allocations --noheader --parsable2 --format=State 2> /dev/null | head -n 1)
fi

case $answer in
COMPLETED*) echo success ;;
BOOT_FAIL* | CANCELLED* | DEADLINE* | FAILED* | NODE_FAIL* | OUT_OF_MEMORY* | TIMEOUT* | "") echo failed ;;
*) echo running ;;
esac
