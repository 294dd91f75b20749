"""The gallery: one partial differential equation a file, written with the public interface only."""
