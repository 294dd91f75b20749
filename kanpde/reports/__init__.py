"""A run or a sweep as one HTML page: summary, equations, pictures, history, provenance, and how to
come to it again."""

from kanpde.reports.report import report as report
