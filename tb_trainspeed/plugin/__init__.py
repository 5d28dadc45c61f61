"""In: the event files that TensorBoard has loaded. Out: the TrainSpeed tab, as JSON routes and static files.

loader.py is what TensorBoard imports at its start, so it imports nothing else; app.py holds the routes, store.py turns
records into profiles, folder.py does so where a file is damaged, static_files.py serves the panel. Neither Keras nor
any of its backends is needed here.
"""
